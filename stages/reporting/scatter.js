"use strict";
// The scatter plot: a canvas, a list of pictures, a legend that switches classes off. No library, no request.
(() => {
  const { labels, pictures, provenances, points } = JSON.parse(document.getElementById("points").textContent);
  const [canvas, review, legend, select] = ["plane", "review", "legend", "picture"].map((id) => document.getElementById(id));
  const context = canvas.getContext("2d");
  const shapes = labels.map((label) => new Path2D(label.shape));
  const off = new Set();
  const size = points.x.length;
  const range = (values) => values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
  const [left, right] = range(points.x);
  const [bottom, top] = range(points.y);
  const margin = 18;
  let width = 0, height = 0, chosen = -1;

  const placed = (low, high, value, extent) => margin + ((value - low) / (high - low || 1)) * (extent - 2 * margin);
  const across = (i) => placed(left, right, points.x[i], width);
  const down = (i) => height - placed(bottom, top, points.y[i], height);
  const inPicture = (i) => points.pictures[i] & (1 << select.selectedIndex);
  const isShown = (i) => inPicture(i) && !off.has(points.label[i]);
  const shown = () => Array.from({ length: size }, (_, i) => i).filter(isShown);

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    [width, height] = [canvas.clientWidth, canvas.clientHeight];
    [canvas.width, canvas.height] = [width * ratio, height * ratio];
    const ink = getComputedStyle(canvas).color;
    // Frequent classes first, so that they do not bury the rare ones; synthetic reviews on top of real ones.
    const many = labels.map((_, label) => points.label.filter((other, i) => other === label && inPicture(i)).length);
    const order = shown().sort((a, b) => (points.provenance[a] > 0) - (points.provenance[b] > 0) || many[points.label[b]] - many[points.label[a]]);
    for (const i of order) {
      const synthetic = points.provenance[i] > 0;
      const radius = synthetic ? 4.4 : 3.8;
      context.setTransform(ratio * radius, 0, 0, ratio * radius, ratio * across(i), ratio * down(i));
      context.globalAlpha = synthetic ? 0.95 : Math.min(0.85, Math.max(0.35, 250 / many[points.label[i]]));
      context.fillStyle = labels[points.label[i]].colour;
      context.strokeStyle = ink;
      context.lineWidth = (synthetic ? 1.1 : 0.35) / radius;
      context.fill(shapes[points.label[i]]);
      context.stroke(shapes[points.label[i]]);
    }
    context.globalAlpha = 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (chosen >= 0) {
      context.lineWidth = 2;
      context.strokeStyle = ink;
      context.beginPath();
      context.arc(across(chosen), down(chosen), 9, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  function show(i) {
    if (i === chosen) return;
    chosen = i;
    const line = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
    if (i < 0) {
      review.replaceChildren(Object.assign(line("span", "Point at a review, or tap it."), { className: "hint" }));
    } else {
      const confidence = points.confidence[i];
      const facts = [points.provenance[i] ? `synthetic, ${provenances[points.provenance[i]]}` : "real"];
      if (confidence !== null) facts.push(`teacher’s confidence ${confidence.toFixed(2)}`);
      review.replaceChildren(line("p", points.text[i]), line("b", labels[points.label[i]].name), line("br", ""), line("small", facts.join(" · ")));
      review.querySelector("p").lang = "";
      // Beside the point, on the side that has room.
      const [x, y, box] = [across(i), down(i), review.getBoundingClientRect()];
      review.style.left = `${x + 16 + box.width < width ? x + 16 : Math.max(0, x - 16 - box.width)}px`;
      review.style.top = `${Math.min(Math.max(0, y - box.height / 2), Math.max(0, height - box.height))}px`;
    }
    draw();
  }

  function nearest(event, reach) {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let [found, distance] = [-1, reach * reach];
    for (const i of shown()) {
      const here = (across(i) - x) ** 2 + (down(i) - y) ** 2;
      if (here < distance) [found, distance] = [i, here];
    }
    return found;
  }

  function listClasses() {
    const counts = labels.map(() => [0, 0]);
    for (let i = 0; i < size; i++) if (inPicture(i)) counts[points.label[i]][points.provenance[i] ? 1 : 0]++;
    legend.replaceChildren(...labels.map((label, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!off.has(index)));
      const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      swatch.setAttribute("viewBox", "-1 -1 2 2");
      swatch.setAttribute("aria-hidden", "true");
      path.setAttribute("d", label.shape);
      path.setAttribute("fill", label.colour);
      swatch.append(path);
      button.append(swatch, `${label.name} `, Object.assign(document.createElement("small"), { textContent: counts[index].join(" + ") }));
      button.addEventListener("click", () => {
        if (!off.delete(index)) off.add(index);
        button.setAttribute("aria-pressed", String(!off.has(index)));
        change();
      });
      return button;
    }));
  }

  function change() {
    if (chosen >= 0 && !isShown(chosen)) show(-1);
    draw();
  }

  function choose(index) {
    select.selectedIndex = (index + pictures.length) % pictures.length;
    listClasses();
    change();
  }

  canvas.addEventListener("pointermove", (event) => event.pointerType === "mouse" && show(nearest(event, 14)));
  canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && show(-1));
  canvas.addEventListener("click", (event) => show(nearest(event, 26)));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") show(-1);
    if (!step) return;
    event.preventDefault();
    const order = shown().sort((a, b) => points.x[a] - points.x[b]);
    if (order.length) show(order.at((order.indexOf(chosen) + step) % order.length));
  });
  select.addEventListener("change", () => choose(select.selectedIndex));
  document.getElementById("previous").addEventListener("click", () => choose(select.selectedIndex - 1));
  document.getElementById("next").addEventListener("click", () => choose(select.selectedIndex + 1));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  new ResizeObserver(draw).observe(canvas);
  choose(0);
})();
