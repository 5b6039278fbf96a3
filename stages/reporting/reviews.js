"use strict";
// Lists of reviews: chosen by what they have, searched, a few at a time. Texts become nodes of text and nothing else.
(() => {
  const PAGE = 25;
  const folded = (text) => text.toLowerCase().replaceAll("ё", "е");
  const node = (tag, text, classes = "") => Object.assign(document.createElement(tag), { textContent: text, className: classes });

  for (const list of document.querySelectorAll("[data-list]")) {
    const { facts, rows } = JSON.parse(document.getElementById(`${list.dataset.list}-rows`).textContent);
    const [search, count, shown] = ["input", "[role=status]", "ol"].map((part) => list.querySelector(part));
    const selects = [...list.querySelectorAll("select")];
    const [previous, next] = list.querySelectorAll(".buttons button");
    const words = rows.map(([text]) => folded(text));
    let found = [], first = 0;

    function item([text, , said, note]) {
      const entry = document.createElement("li");
      const table = document.createElement("dl");
      said.forEach(([value, confidence], number) => {
        const fact = document.createElement("div");
        // What differs from the first one is what the list is about.
        if (value && value !== said[0][0]) fact.className = "wrong";
        const definition = node("dd", `${value || "–"} `);
        if (confidence !== null) definition.append(node("small", confidence.toFixed(2)));
        fact.append(node("dt", facts[number]), definition);
        table.append(fact);
      });
      const quote = node("blockquote", text);
      quote.lang = "";
      entry.append(quote, table, node("p", note, "lesson"));
      return entry;
    }

    function show(start) {
      first = start;
      const last = Math.min(first + PAGE, found.length);
      shown.replaceChildren(...found.slice(first, last).map((i) => item(rows[i])));
      shown.start = first + 1;
      count.textContent = found.length ? `${first + 1}–${last} of ${found.length}` : "none";
      previous.disabled = first === 0;
      next.disabled = last === found.length;
    }

    function choose() {
      const wanted = folded(search.value.trim());
      const chosen = selects.filter((select) => select.value).map((select) => [select.dataset.facet, Number(select.value)]);
      const fits = ([, facets], i) => chosen.every(([facet, value]) => facets[facet].includes(value)) && words[i].includes(wanted);
      found = [...rows.keys()].filter((i) => fits(rows[i], i));
      show(0);
    }

    function turn(by) {
      show(first + by);
      list.scrollIntoView();
    }

    search.addEventListener("input", choose);
    for (const select of selects) select.addEventListener("change", choose);
    previous.addEventListener("click", () => turn(-PAGE));
    next.addEventListener("click", () => turn(PAGE));
    choose();
  }
})();
