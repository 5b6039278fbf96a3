// The page to classify on. Texts go into the page by textContent alone: what looks like mark-up stays text.

const $ = (id) => document.getElementById(id);
const form = $("ask"), near = $("near"), beside = near.parentElement;
const narrow = matchMedia("(max-width: 42rem)");
const examples = Number(form.dataset.examples);
// Rows that the page shows; a table's others are in the download.
const SHOWN = 200;

// What is asked now, the CSV that came of it, and the review whose neighbours are looked for.
let running = null, parts = [], chosen = null;

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function hint(text) {
  near.querySelector(".hint").textContent = text;
}

function tell(text, wrong = false) {
  $("status").textContent = text;
  $("status").classList.toggle("wrong", wrong);
}

async function send(path, options) {
  const answer = await fetch(path, { method: "POST", signal: running.signal, ...options });
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw new Error(said.detail ?? `The service answered ${answer.status}.`);
}

// What is asked anew ends what was asked before.
async function run(work) {
  running?.abort();
  const mine = running = new AbortController();
  beside.append(near);
  $("answers").replaceChildren();
  $("results").hidden = true;
  $("download").hidden = true;
  chosen = null;
  near.querySelector("ol").replaceChildren();
  if (examples) hint("Choose a review.");
  $("progress").removeAttribute("value");
  $("progress").hidden = false;
  tell("Reading…");
  try {
    await work();
  } catch (error) {
    if (mine !== running) return;
    tell(error instanceof TypeError ? "The service does not answer, or broke off." : error.message, true);
  } finally {
    if (mine === running) $("progress").hidden = true;
  }
}

function progress(done, all) {
  $("progress").max = all;
  $("progress").value = done;
  tell(done < all ? `${done} of ${all}…` : "");
}

function show(text, category, confidence) {
  $("results").hidden = false;
  const name = category || "nothing to classify";
  const bar = element("span", { className: "bar" }, element("i"));
  bar.firstChild.style.setProperty("--share", `${100 * (confidence ?? 0)}%`);
  const said = element("span", {},
    element("span", { className: "category" }, name, element("small", {}, confidence == null ? "" : confidence.toFixed(2))), bar);
  const button = element("button", { type: "button", ariaPressed: "false" }, element("span", { className: "review" }, text), said);
  button.addEventListener("click", () => choose(button, text));
  $("answers").append(element("li", {}, button));
}

function count(categories) {
  const counts = new Map();
  for (const category of categories) counts.set(category || "nothing", (counts.get(category || "nothing") ?? 0) + 1);
  const sorted = [...counts].sort((one, other) => other[1] - one[1]).map(([name, number]) => `${name} ${number}`);
  const hidden = categories.length - SHOWN;
  $("counts").textContent = sorted.join(" · ") + (hidden > 0 ? `. The first ${SHOWN} are shown.` : "");
}

// The cells of CSV, row by row, wherever the network cuts it.
async function* rowsOf(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let row = [], cell = "", quoted = false;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    for (const character of part.value) {
      if (character === '"') quoted = !quoted;
      if (quoted || (character !== "," && character !== "\n")) {
        cell += character;
        continue;
      }
      row.push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
      cell = "";
      if (character === "\n") {
        yield row;
        row = [];
      }
    }
  }
}

async function table(body, column) {
  const answer = await send(`/table?column=${encodeURIComponent(column)}`, { body });
  const all = Number(answer.headers.get("X-Rows")), categories = [];
  parts = [];
  let place = null;
  for await (const row of rowsOf(answer)) {
    if (place === null) {
      place = Math.max(0, row.indexOf(column));
      continue;
    }
    const [category, confidence] = row.slice(-2);
    if (categories.length < SHOWN) show(row[place], category, confidence && Number(confidence));
    categories.push(category);
    progress(categories.length, all);
    count(categories);
  }
  // With a byte order mark: without it, Excel takes Cyrillic for something else.
  URL.revokeObjectURL($("download").href);
  $("download").href = URL.createObjectURL(new Blob(["\ufeff", ...parts], { type: "text/csv" }));
  $("download").hidden = false;
}

// As a table: what is answered can be downloaded.
async function pasted() {
  const texts = $("pasted").value.split("\n").map((line) => line.trim()).filter(Boolean);
  if (!texts.length) throw new Error("Paste a review first, or choose a table.");
  await table(new Blob(["text", ...texts].map((text) => `"${text.replaceAll('"', '""')}"\n`)), "text");
}

async function choose(button, text) {
  for (const other of $("answers").querySelectorAll("button")) other.ariaPressed = String(other === button);
  // On a phone the examples stand below the review, and not below all of them.
  if (narrow.matches) button.after(near);
  if (!examples) return;
  chosen = text;
  near.querySelector("ol").replaceChildren();
  hint("…");
  try {
    const { neighbours } = await (await send("/neighbours", {
      headers: { "Content-Type": "application/json" }, body: JSON.stringify({ text, k: 5 }),
    })).json();
    if (chosen !== text) return;
    hint(neighbours.length ? "" : "Nothing to compare.");
    near.querySelector("ol").append(...neighbours.map((example) => element("li", {},
      element("p", { className: "category" }, example.label, element("small", {}, example.similarity.toFixed(2))),
      element("p", {}, example.text),
      element("small", {}, example.provenance))));
  } catch (error) {
    if (chosen === text) hint(error.message);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  run(pasted);
});
const take = (file) => file && run(() => table(file, $("column").value.trim() || "text"));
$("file").addEventListener("change", ({ target }) => {
  take(target.files[0]);
  // The same file may be chosen again, once it was mended.
  target.value = "";
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  form.addEventListener(kind, (event) => {
    event.preventDefault();
    form.classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files[0]);
  });
}
