"use strict";
// The table can be sorted and searched; the page is whole without this.
const page = {
  by: null,
  column: 0,

  // What a row is sorted by in a column: a number, a text, or null where there is nothing.
  value(row, column) {
    const found = row.cells[column].dataset.value;
    if (found === undefined) return null;
    const number = Number(found);
    return Number.isNaN(number) ? found : number;
  },

  sort() {
    if (!page.by) return;
    const up = page.by === "ascending" ? 1 : -1;
    const body = document.getElementById("rows");
    const keyed = Array.from(body.rows, (row) => [page.value(row, page.column), row]);
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return (a > b ? 1 : a < b ? -1 : 0) * up;
    });
    body.append(...keyed.map(([, row]) => row));
    document.querySelectorAll(".runs thead th").forEach((head, index) => {
      if (index === page.column) head.setAttribute("aria-sort", page.by);
      else head.removeAttribute("aria-sort");
    });
  },

  choose(column) {
    const head = document.querySelectorAll(".runs thead th")[column];
    const first = head.classList.contains("n") || head.getAttribute("aria-sort") === "ascending";
    const last = head.getAttribute("aria-sort") === "descending";
    page.by = first && !last ? "descending" : "ascending";
    page.column = column;
    page.sort();
  },

  search() {
    const find = document.getElementById("find");
    if (!find) return;
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const state = document.getElementById("state").value;
    const rows = Array.from(document.getElementById("rows").rows);
    let shown = 0;
    for (const row of rows) {
      const text = (row.id + " " + row.textContent).toLowerCase();
      const is = !state || row.cells[1].dataset.value === state;
      row.hidden = !is || !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    const all = rows.length.toLocaleString("en") + (rows.length === 1 ? " run" : " runs");
    const said = shown === rows.length ? all : `${shown.toLocaleString("en")} of ${all}`;
    const place = document.getElementById("shown");
    if (place.textContent !== said) place.textContent = said;
  },

  // How long runs that have not ended take by now.
  tick() {
    for (const place of document.querySelectorAll("[data-since]")) {
      const seconds = Math.max(0, Math.round((Date.now() - Number(place.dataset.since)) / 1000));
      const minutes = Math.floor(seconds / 60);
      const hours = Math.floor(minutes / 60);
      const text = hours
        ? `${hours} h ${minutes % 60} min`
        : minutes
          ? `${minutes} min ${seconds % 60} s`
          : `${seconds} s`;
      if (place.textContent !== text) place.textContent = text;
    }
  },

  // The console opens one object by a signed address, under which no link beside it holds: there
  // the links to reports lead to the console.
  relink() {
    const { console: prefix } = document.body.dataset;
    if (!prefix || !new URLSearchParams(location.search).has("X-Amz-Signature")) return;
    for (const link of document.querySelectorAll("a.report, nav a")) {
      const key = link.getAttribute("href").replace(/^\.\.\//, "");
      link.href = prefix + encodeURIComponent(key);
    }
  },
};

document.addEventListener("click", (event) => {
  const button = event.target.closest(".runs thead button");
  if (button) page.choose(button.closest("th").cellIndex);
});
document.addEventListener("input", (event) => {
  if (event.target.closest(".controls")) page.search();
});
page.relink();
page.search();
page.tick();
setInterval(page.tick, 1000);
