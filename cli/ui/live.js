
// In `batchref ui`: what changes comes by itself, and nothing that did not change is touched, so
// that focus, selection and place stay where they are.
const live = {
  // row id -> its markup as the server sent it: ticking and searching change the row itself
  sent: new Map(),

  remember() {
    for (const row of document.querySelectorAll("#rows tr")) {
      if (!live.sent.has(row.id)) live.sent.set(row.id, live.markup(row));
    }
  },

  markup(row) {
    const copy = row.cloneNode(true);
    copy.hidden = false;
    for (const place of copy.querySelectorAll("[data-since]")) place.textContent = "";
    return copy.outerHTML;
  },

  replace(id, made) {
    const old = document.getElementById(id);
    const next = made.getElementById(id);
    const folds = old?.querySelector("details");
    const open = folds?.open;
    if (folds) folds.open = false;
    if (old && next && old.outerHTML !== next.outerHTML) old.replaceWith(next);
    const now = document.querySelector(`#${id} details`);
    if (now && open) now.open = true;
  },

  rows(made) {
    const body = document.getElementById("rows");
    const next = made.getElementById("rows");
    if (!body || !next) {
      live.replace("runs", made);
      live.sent.clear();
      live.remember();
      return;
    }
    const focused = document.activeElement?.closest("#rows tr")?.id;
    const selector = document.activeElement?.tagName.toLowerCase();
    const wanted = Array.from(next.rows, (row) => {
      const markup = live.markup(row);
      const old = document.getElementById(row.id);
      if (old && live.sent.get(row.id) === markup) return old;
      live.sent.set(row.id, markup);
      return document.importNode(row, true);
    });
    const here = (row, index) => (page.by ? row.parentNode === body : row === body.rows[index]);
    const same = wanted.length === body.rows.length && wanted.every(here);
    if (!same) body.replaceChildren(...wanted);
    const state = document.getElementById("state");
    const chosen = state.value;
    live.replace("state", made);
    document.getElementById("state").value = chosen;
    if (focused && document.activeElement === document.body) {
      document.getElementById(focused)?.querySelector(selector)?.focus({ preventScroll: true });
    }
    page.sort();
  },

  show(markup) {
    const made = new DOMParser().parseFromString(markup, "text/html");
    live.replace("which", made);
    live.replace("months", made);
    live.replace("tiles", made);
    live.replace("trends", made);
    live.rows(made);
    page.search();
    page.tick();
  },

  say(text) {
    const place = document.getElementById("live");
    if (place.textContent !== text) place.textContent = text;
  },

  stream: null,
  begin() {
    if (document.hidden || live.stream) return;
    live.stream = new EventSource("events");
    live.stream.addEventListener("main", (event) => {
      live.show(JSON.parse(event.data));
      live.say("refreshes itself");
    });
    live.stream.addEventListener("trouble", (event) => live.say(JSON.parse(event.data)));
    live.stream.addEventListener("error", () => {
      live.say("stands still: nobody answers; begin `batchref ui` again");
    });
  },

  // nobody looks: AWS need not be asked
  pause() {
    live.stream?.close();
    live.stream = null;
  },
};

live.remember();
live.begin();
document.addEventListener("visibilitychange", () => (document.hidden ? live.pause() : live.begin()));
