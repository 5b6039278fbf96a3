"use strict";
// The log of presses on the server is the truth. What it has not confirmed waits in localStorage, which outlives a
// reload, and is sent again until it is; the server counts a press once, however often it comes.

// Keys after 9; c, s and u have a meaning.
const LETTERS = "qwertyiopadfghjklzxvbnm";
const PENDING = "razmetka.press.";
const PATIENCE = 10_000, INTERVAL = 2000, HURRY = 1000, TYPING = 600;
// The pace is that of the last few answers, and a pause for coffee is none of them.
const RECENT = 20, PAUSE = 120;

const element = (id) => document.getElementById(id);
// crypto.randomUUID is missing where the page comes from another machine by plain HTTP.
const identity = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
const BROWSER = (localStorage["razmetka.browser"] ??= identity());
const TAB = (sessionStorage["razmetka.tab"] ??= identity());

let batch = { batch: null, categories: [], reviews: [] };
let log = new Map(); // of the server: press -> what was pressed, in order
let seen = 0; // number of the last one
let place = 0; // in batch.reviews; behind the last one, the end
let states = new Map();
let counted = []; // presses that are not taken back
let shown = ""; // the review on the page
let fault = ""; // why nothing can be saved now
let refused = ""; // why the last press was not taken
let left = new Set(); // pending presses that this server cannot take

// --- what is known

// Of this tab, and what a closed one has left behind; another open one sends its own.
function pending() {
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(PENDING)).sort();
  const presses = keys.map((key) => [key, JSON.parse(localStorage[key])]);
  const isOld = (key) => Date.now() - key.slice(PENDING.length).split(".")[0] > PATIENCE;
  return presses.filter(([key, { tab }]) => tab === TAB || isOld(key));
}

const toSend = () => pending().filter(([key]) => !left.has(key));

function fold() {
  const own = pending().map(([, press]) => press).filter(({ press }) => !log.has(press));
  const presses = [...log.values(), ...own.filter((press) => press.batch === batch.batch)];
  const undone = new Set(presses.filter(({ kind }) => kind === "undo").map(({ value }) => value));
  counted = presses.filter(({ press }) => !undone.has(press));
  states = new Map();
  for (const { review, kind, value, who } of counted) {
    const state = states.get(review) ?? { comment: "" };
    if (kind === "comment") state.comment = value;
    if (kind === "skip") Object.assign(state, { label: null, skipped: true, who });
    // A label of other categories is no answer to these.
    const known = batch.categories.includes(value);
    if (kind === "answer" && known) Object.assign(state, { label: value, skipped: false, who });
    states.set(review, state);
  }
}

const NONE = { comment: "" };
const stateOf = (review) => states.get(review.id) ?? NONE;
const isOpen = (review) => !stateOf(review).label && !stateOf(review).skipped;
const isAnswer = ({ kind }) => kind === "answer" || kind === "skip";

function minutesLeft(open) {
  const times = counted.filter((press) => isAnswer(press) && press.at && press.browser === BROWSER).slice(-RECENT);
  const gaps = times.slice(1).map(({ at }, index) => at - times[index].at).filter((gap) => gap > 0 && gap < PAUSE);
  if (gaps.length < 3) return null;
  const seconds = gaps.sort((one, other) => one - other)[gaps.length >> 1];
  return { rate: 60 / seconds, minutes: (open * seconds) / 60 };
}

// --- the server

async function ask(path, body) {
  try {
    const headers = { "content-type": "application/json" };
    const sent = body && { method: "POST", headers, body: JSON.stringify(body) };
    const answer = await fetch(path, { ...sent, signal: AbortSignal.timeout(PATIENCE) });
    return { status: answer.status, body: await answer.json() };
  } catch {
    return { status: 0, body: { detail: "the server does not answer; is make serve running?" } };
  }
}

function words({ detail }) {
  const said = typeof detail === "string" ? detail : JSON.stringify(detail);
  return /[.?!]$/.test(said) ? said : `${said}.`;
}

function learn(told) {
  for (const press of told.presses) {
    log.set(press.press, press);
    seen = Math.max(seen, press.number);
  }
  const another = told.batch !== batch.batch;
  element("other").hidden = !another;
  element("other").firstChild.textContent = told.batch
    ? "Another batch was opened. What you answered here is saved, and is written with it."
    : "This batch is closed. What you answered is saved.";
  element("write").classList.toggle("main", !told.written);
}

function press(kind, review, value = "") {
  const pressed = { press: identity(), batch: batch.batch, review: review.id, kind, value };
  const sent = { ...pressed, who: element("who").value, browser: BROWSER, tab: TAB };
  press.last = Math.max(Date.now(), (press.last ?? 0) + 1);
  localStorage[`${PENDING}${press.last}.${pressed.press}`] = JSON.stringify(sent);
  element("written").replaceChildren();
  refused = "";
  fold();
  save();
}

async function save() {
  if (save.runs) return save.runs;
  save.runs = sendAll();
  try {
    await save.runs;
  } finally {
    save.runs = null;
  }
}

async function sendAll() {
  for (;;) {
    const [next] = toSend();
    if (!next) break;
    const [key, sent] = next;
    const known = sent.batch === batch.batch && log;
    const { status, body } = await ask("/annotate/log", { ...sent, seen: known ? seen : 0 });
    if (status === 200) {
      localStorage.removeItem(key);
      fault = "";
      if (known === log) learn(body);
    } else if (status === 422) {
      localStorage.removeItem(key);
      refused = words(body);
    } else if (status === 409) {
      left.add(key);
    } else {
      fault = words(body);
      left.clear(); // Another server may come back.
      break;
    }
    fold();
    show();
  }
  show();
}

async function load() {
  const { status, body } = await ask("/annotate/batch");
  fault = status === 200 ? "" : words(body);
  if (status === 200) {
    batch = body;
    [log, seen, left, place] = [new Map(), 0, new Set(), 0];
    element("other").hidden = true;
    build();
    if (batch.batch) await hear();
    fold();
    place = nextOpen(0);
  }
  show();
}

async function hear() {
  const known = log;
  const { status, body } = await ask(`/annotate/log?batch=${batch.batch}&seen=${seen}`);
  fault = status === 200 ? "" : words(body);
  if (status === 200 && known === log) learn(body); // Another batch may have been loaded meanwhile.
}

// Sends again, hears of other tabs and of a new batch.
async function tick() {
  try {
    if (toSend().length) await save();
    else if (document.visibilityState === "visible" && !batch.batch) await load();
    else if (document.visibilityState === "visible") {
      await hear();
      fold();
      show();
    }
  } finally {
    setTimeout(tick, fault ? HURRY : INTERVAL);
  }
}

// --- what a person does

function nextOpen(from) {
  const { reviews } = batch;
  const after = reviews.findIndex((review, index) => index >= from && isOpen(review));
  const any = after >= 0 ? after : reviews.findIndex(isOpen);
  return any >= 0 ? any : reviews.length;
}

function go(to) {
  remark();
  place = Math.min(Math.max(to, 0), batch.reviews.length);
  show();
  element(batch.reviews[place] ? "text" : "done").focus();
}

function answer(kind, label) {
  const review = batch.reviews[place];
  if (!review) return;
  remark();
  press(kind, review, label);
  go(nextOpen(place + 1));
}

// One's own: of this tab, else of this browser.
function lastAnswer() {
  const mine = counted.filter((press) => isAnswer(press) && press.browser === BROWSER);
  return mine.findLast(({ tab }) => tab === TAB) ?? mine.at(-1);
}

function undo() {
  const last = lastAnswer();
  if (!last) return;
  press("undo", { id: last.review }, last.press);
  go(batch.reviews.findIndex(({ id }) => id === last.review));
}

function remark() {
  clearTimeout(remark.timer);
  const review = batch.reviews[place];
  const comment = element("comment").value.trim().toWellFormed(); // Its limit may cut an emoji.
  if (review && comment !== stateOf(review).comment) press("comment", review, comment);
}

async function write() {
  element("write").disabled = true;
  await save();
  const unsaved = { status: 0, body: { detail: fault } };
  const { status, body } = toSend().length ? unsaved : await ask("/annotate/answers", {});
  element("write").disabled = false;
  if (status === 200) await hear();
  fold();
  show();
  const said = status === 200 ? wrote(body) : [paragraph(`Not written: ${words(body)}`, "wrong")];
  element("written").replaceChildren(...said);
}

function wrote({ file, added, changed, same, taken_back }) {
  const next = paragraph("Next: ");
  next.append(code("make repro"), " learns from them, and scores by those that were drawn for it.");
  const said = [paragraph(`Written to ${file}: ${added} new, ${changed} changed, ${same} as they were.`), next];
  if (taken_back.length) {
    const which = taken_back.map((text) => `“\u2068${text.slice(0, 40)}\u2069”`).join(", ");
    const what = `Without an answer now, but still in that file: ${which}. Answer them, or delete their rows.`;
    said.push(paragraph(what, "wrong"));
  }
  return said;
}

// --- what is shown

const code = (command) => Object.assign(document.createElement("code"), { textContent: command });

function paragraph(text, name = "") {
  return Object.assign(document.createElement("p"), { textContent: text, className: name });
}

function build() {
  element("categories").replaceChildren(
    ...batch.categories.map((label, index) => {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      const key = index < 9 ? String(index + 1) : (LETTERS[index - 9] ?? "");
      const name = document.createElement("bdi");
      name.textContent = label;
      Object.assign(button.dataset, { label, key });
      if (key) button.append(Object.assign(document.createElement("kbd"), { textContent: key.toUpperCase() }));
      button.append(name);
      button.addEventListener("click", () => answer("answer", label));
      return button;
    }),
  );
  element("list").replaceChildren(
    ...batch.reviews.map((review, index) => {
      const item = document.createElement("li");
      const button = Object.assign(document.createElement("button"), { type: "button" });
      const text = document.createElement("bdi");
      text.textContent = review.text.slice(0, 120);
      button.append(text, document.createElement("small"));
      button.addEventListener("click", () => go(index));
      item.append(button);
      return item;
    }),
  );
}

function trouble(waiting) {
  const presses = `${waiting} ${waiting === 1 ? "press waits" : "presses wait"} in this browser`;
  if (fault && waiting) return `Not saved: ${fault} ${presses} and will be sent again. Go on.`;
  if (fault) return `${fault[0].toUpperCase()}${fault.slice(1)} Trying again.`;
  if (refused) return `Not saved: ${refused}`;
  return waiting && waiting === left.size ? `Not saved: ${presses} for a batch that this server does not have.` : "";
}

function show() {
  const { reviews } = batch;
  const review = reviews[place];
  const waiting = pending().length;
  element("trouble").textContent = trouble(waiting);
  element("trouble").hidden = !element("trouble").textContent;
  element("nothing").hidden = reviews.length > 0 || Boolean(fault);
  element("work").hidden = !reviews.length;
  if (!reviews.length) return;

  const open = reviews.filter(isOpen).length;
  const pace = minutesLeft(open);
  element("bar").max = reviews.length;
  element("bar").value = reviews.length - open;
  element("progress").textContent =
    `${reviews.length - open} of ${reviews.length} done` +
    (open ? ` · ${open} left` : "") +
    (open && pace ? ` · ${pace.rate.toFixed(pace.rate < 10 ? 1 : 0)} a minute · ${Math.ceil(pace.minutes)} min` : "");
  const stuck = fault || waiting === left.size;
  const is = waiting ? (stuck ? "not saved" : "saving…") : log.size ? "saved" : "";
  element("saved").dataset.is = is;
  element("saved").textContent = is === "saved" ? "saved ✓" : is;

  element("review").hidden = !review;
  element("done").hidden = Boolean(review);
  element("categories").hidden = element("remark").hidden = !review;
  element("skip").disabled = !review;
  element("back").disabled = place === 0;
  element("forth").disabled = !review;
  element("undo").disabled = !lastAnswer();
  const skipped = reviews.filter((each) => stateOf(each).skipped).length;
  element("total").textContent = open
    ? `The end, and ${open} still open`
    : `All ${reviews.length} are done: ${reviews.length - skipped} answered, ${skipped} skipped`;
  if (review) showReview(review);
  const state = review ? stateOf(review) : NONE;
  for (const button of element("categories").children) {
    button.ariaPressed = String(state.label === button.dataset.label);
  }
  element("skip").ariaPressed = String(Boolean(state.skipped));
  if (element("overview").open) showList();
}

function showReview(review) {
  const state = stateOf(review);
  const who = state.label && state.who && state.who !== element("who").value ? ` · answered by ${state.who}` : "";
  const last = lastAnswer();
  const before = last && last.review !== review.id ? ` · the answer before: ${last.value || "cannot tell"}` : "";
  element("place").textContent = `Review ${place + 1}${who}${before}`;
  if (shown !== review.id) element("text").textContent = review.text;
  if (shown !== review.id || document.activeElement !== element("comment")) element("comment").value = state.comment;
  shown = review.id;
  const blind = isOpen(review) && (review.split !== "train" || !element("hints").checked);
  element("opinions").hidden = blind;
  element("blind").hidden = !blind || !element("hints").checked;
  const sure = review.confidence ? `, ${Math.round(review.confidence * 100)}%` : "";
  const opinions = [
    ["Teacher", review.teacher],
    ["Second opinion", review.second_opinion],
    ["Student", review.student && `${review.student}${sure}`],
  ];
  element("opinions").replaceChildren(
    ...opinions.filter(([, opinion]) => opinion).map(([name, opinion]) => {
      const pair = document.createElement("div");
      pair.append(
        Object.assign(document.createElement("dt"), { textContent: name }),
        Object.assign(document.createElement("dd"), { textContent: opinion }),
      );
      return pair;
    }),
  );
}

function showList() {
  const which = element("which").value;
  batch.reviews.forEach((review, index) => {
    const item = element("list").children[index];
    const state = stateOf(review);
    const is = state.label ? "answered" : state.skipped ? "skipped" : "open";
    item.hidden = which !== "all" && which !== is;
    item.firstChild.ariaCurrent = index === place ? "true" : null;
    const said = [state.label ?? (is === "skipped" ? "cannot tell" : "—"), state.comment.slice(0, 60)];
    item.querySelector("small").textContent = said.filter(Boolean).join(" · ");
  });
}

// --- keys

// What is printed on the key where it is Latin; where it is not, what stands there on a Latin keyboard.
function keyOf({ key, code }) {
  if (/^[0-9a-z]$/i.test(key)) return key.toLowerCase();
  return /^(?:Digit|Key)(.)$/.exec(code)?.[1].toLowerCase() ?? key;
}

addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (event.key === "Escape" && typing) event.target.blur();
  if (typing || element("work").hidden || event.altKey) return;
  const key = keyOf(event);
  const button = [...element("categories").children].find(({ dataset }) => dataset.key === key);
  let action = null;
  if (event.ctrlKey || event.metaKey) action = key === "z" && !event.shiftKey ? undo : null;
  else if (button) action = () => answer("answer", button.dataset.label);
  else if (key === "0" || key === "s") action = () => answer("skip");
  else if (key === "u" || key === "Backspace") action = undo;
  else if (key === "c") action = () => element("comment").focus();
  else if (key === "ArrowLeft") action = () => go(place - 1);
  else if (key === "ArrowRight") action = () => go(place + 1);
  if (!action) return;
  event.preventDefault();
  // A key that is held down answers one review.
  if (!event.repeat || key.startsWith("Arrow")) action();
});

element("skip").addEventListener("click", () => answer("skip"));
element("undo").addEventListener("click", undo);
element("back").addEventListener("click", () => go(place - 1));
element("forth").addEventListener("click", () => go(place + 1));
element("write").addEventListener("click", write);
element("anew").addEventListener("click", load);
element("which").addEventListener("change", showList);
element("overview").addEventListener("toggle", showList);
element("comment").addEventListener("input", () => {
  clearTimeout(remark.timer);
  remark.timer = setTimeout(remark, TYPING);
});
element("comment").addEventListener("blur", remark);
element("comment").addEventListener("keydown", ({ key }) => key === "Enter" && element("text").focus());
addEventListener("pagehide", remark);
element("who").value = localStorage["razmetka.who"] ?? "";
element("who").addEventListener("input", () => (localStorage["razmetka.who"] = element("who").value));
element("hints").checked = localStorage["razmetka.hints"] === "true";
element("hints").addEventListener("change", () => {
  localStorage["razmetka.hints"] = element("hints").checked;
  show();
});
load().then(tick);
