"use strict";
// The page of a run: its state and its log come by a stream.
const run = {
  most: 5000,
  log: document.getElementById("log"),

  fits(line) {
    const words = document.getElementById("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const stage = document.getElementById("stage").value;
    const text = line.textContent.toLowerCase();
    return (!stage || line.dataset.stage === stage) && words.every((word) => text.includes(word));
  },

  // Every text from outside goes into the page as text.
  line([moment, stage, label, level, message]) {
    const line = document.createElement("li");
    line.dataset.stage = stage;
    const time = document.createElement("time");
    time.textContent = moment;
    const from = document.createElement("b");
    from.textContent = label;
    const said = document.createElement("span");
    said.className = level;
    said.textContent = message;
    line.append(time, " ", from, " ", said);
    line.hidden = !run.fits(line);
    return line;
  },

  add(lines) {
    run.log.append(...lines.map(run.line));
    const over = run.log.children.length - run.most;
    for (let number = 0; number < over; number += 1) run.log.firstChild.remove();
    if (over > 0) run.cut(over);
    if (document.getElementById("follow").checked) run.log.scrollTop = run.log.scrollHeight;
  },

  left: 0,
  cut(count) {
    run.left += count;
    const place = document.getElementById("cut");
    const command = `batchref logs ${document.body.dataset.run}`;
    place.textContent = `${run.left.toLocaleString("en")} earlier lines are left out: ${command}`;
    place.hidden = false;
  },

  say(text) {
    const place = document.getElementById("live");
    if (place.textContent !== text) place.textContent = text;
  },

  begin() {
    const stream = new EventSource("events");
    stream.addEventListener("open", () => {
      run.log.replaceChildren();
      run.left = 0;
    });
    stream.addEventListener("main", (event) => {
      const place = document.getElementById("run");
      const markup = JSON.parse(event.data);
      const made = new DOMParser().parseFromString(markup, "text/html");
      place.replaceChildren(...made.body.childNodes);
    });
    stream.addEventListener("lines", (event) => run.add(JSON.parse(event.data)));
    stream.addEventListener("cut", (event) => run.cut(JSON.parse(event.data)));
    stream.addEventListener("looked", (event) => {
      const none = run.log.children.length ? "" : "no line yet; ";
      run.say(JSON.parse(event.data).ended ? `${none}the run has ended` : `${none}lines come as they are written`);
    });
    stream.addEventListener("trouble", (event) => run.say(JSON.parse(event.data)));
    stream.addEventListener("error", () => run.say("stands still: nobody answers; begin `batchref ui` again"));
  },
};

document.querySelector(".controls").addEventListener("input", () => {
  for (const line of run.log.children) line.hidden = !run.fits(line);
  if (document.getElementById("follow").checked) run.log.scrollTop = run.log.scrollHeight;
});
run.log.addEventListener("wheel", () => {
  const end = run.log.scrollHeight - run.log.clientHeight - run.log.scrollTop < 40;
  document.getElementById("follow").checked = end;
}, { passive: true });
run.begin();
