"use strict";
// What the page does when it is touched: one slider for all paths, and tables that sort. It reads
// data attributes only, and nothing moves before someone asks for it.
document.documentElement.classList.add("js");

function paths(scrub) {
  const films = [...document.querySelectorAll(".path .film")].map((film) => [...film.children]);
  const [button, slider, output] = ["button", "input", "output"].map((name) => scrub.querySelector(name));
  const last = Number(slider.max);
  let timer = null;

  function show(step) {
    slider.value = step;
    for (const frames of films) {
      const at = Math.round((step / last) * (frames.length - 1));
      frames.forEach((frame, i) => frame.classList.toggle("on", i === at));
    }
    output.textContent = step === last ? "sample" : `step ${step} of ${last}`;
    slider.setAttribute("aria-valuetext", output.textContent);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    button.classList.remove("playing");
    button.setAttribute("aria-label", "play all paths");
  }

  function advance() {
    const step = Number(slider.value) + 1;
    show(Math.min(step, last));
    if (step >= last) stop();
  }

  button.addEventListener("click", () => {
    if (timer !== null) return stop();
    if (Number(slider.value) === last) show(0);
    button.classList.add("playing");
    button.setAttribute("aria-label", "pause");
    timer = setInterval(advance, 450);
  });
  slider.addEventListener("input", () => {
    stop();
    show(Number(slider.value));
  });
  show(last);
  scrub.hidden = false;
}

function sortable(table) {
  const headers = [...table.tHead.rows[0].cells];

  function sort(header, ascending) {
    const column = header.cellIndex;
    const number = header.dataset.type === "number";
    const value = (row) => {
      const text = row.cells[column].dataset.value ?? "";
      return number ? (text === "" ? NaN : Number(text)) : text;
    };
    const order = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (number) {
        const missing = Number.isNaN(x) - Number.isNaN(y); // what has no number comes last, whatever the direction
        return missing || Number.isNaN(x) ? missing : ascending ? x - y : y - x;
      }
      return ascending ? x.localeCompare(y) : y.localeCompare(x);
    };
    const body = table.tBodies[0];
    const rows = [...body.rows].filter((row) => !row.matches(".pinned, .failed"));
    const failed = [...body.rows].filter((row) => row.matches(".failed"));
    body.append(...rows.sort(order), ...failed);
    for (const other of headers) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  }

  for (const header of headers) {
    if (!header.hasAttribute("aria-sort")) header.setAttribute("aria-sort", "none");
    const label = header.querySelector(".label");
    const button = document.createElement("button");
    button.type = "button";
    label.replaceWith(button);
    button.append(label);
    button.addEventListener("click", () => {
      const now = header.getAttribute("aria-sort");
      sort(header, now === "none" ? header.dataset.first === "ascending" : now === "descending");
    });
  }
}

document.querySelectorAll(".scrub").forEach(paths);
document.querySelectorAll("table[data-sortable]").forEach(sortable);
