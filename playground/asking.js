// What is asked of the engine and what becomes of its answers; the page's state is in main.js.

let send = () => {};
let waiting = null, busy = false, number = 0;

function startEngine() {
  const start = {
    wasm: bytesOf($("wasm").textContent),
    models: models.map(({ name, blueprint, file }) => ({ name, blueprint, weights: bytesOf(file) })),
  };
  const local = () => {
    const session = new Session(receive);
    send = (request) => session.ask(request);
    session.start(start);
  };
  try {
    const source = `"use strict";\n${$("engine-source").textContent}\n${$("session-source").textContent}\nlisten(self);`;
    const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const worker = new Worker(address);
    worker.onmessage = ({ data }) => receive(data);
    worker.onerror = (event) => { event.preventDefault(); worker.terminate(); local(); busy = false; ask(); };
    send = (request) => worker.postMessage({ ask: request });
    worker.postMessage({ start });
  } catch {
    local();
  }
}

function trouble(words) {
  $("trouble").textContent = words;
  $("trouble").hidden = !words;
}

/** Inputs as the network sees them: the window is a part of what training has shown. */
function scaled(xs) {
  const { window: { x0, x1 }, part } = state.sheet, half = models[state.model].reach * part;
  return xs.map((x) => ((x - x0) / (x1 - x0) * 2 - 1) * half);
}

const even = (count, { x0, x1 }) => Array.from({ length: count }, (_, i) => x0 + (x1 - x0) * i / (count - 1));

/** The inputs of a path's values: everywhere, or after the last row alone. */
function places() {
  const { window, points } = state.sheet, last = Math.max(...points.filter((p) => !p.pin).map((p) => p.x));
  if (state.over === "all" || !(last < window.x1)) return even(state.targets, window);
  return even(state.targets + 1, { x0: last, x1: window.x1 }).slice(1);
}

/** Asks anew; while an answer is under way the last request waits for its first paths. */
function ask() {
  if (!state.sheet || models.length === 0) return;
  const { points, window, units } = state.sheet;
  const targets = places();
  const fine = [...new Set([...even(129, window), ...points.map((p) => p.x)])].sort((a, b) => a - b);
  const shown = dragging && speed > 160 ? 24 : SHOWN;
  waiting = {
    shown, targets, fine, sheet: state.sheet, points: points.map((p) => ({ ...p })), exact: models[state.model].exact,
    everywhere: targets[0] === window.x0,
    message: {
      model: models[state.model].name, x: scaled(points.map((p) => p.x)), y: points.map((p) => (p.y - units.y) / units.scale),
      fine: scaled(fine), targets: scaled(targets), levels: LEVELS, seed: state.seed, plan: PLANS[state.plan].make(state.targets),
      paths: dragging ? shown : COUNTED, independent: dragging ? 256 : 1024,
    },
  };
  next();
}

function next() {
  if (!waiting || busy) return;
  busy = true;
  coming = { ...waiting, id: ++number, values: [], orders: [], count: 0 };
  send({ ...waiting.message, id: number });
  waiting = null;
}

function receive(message) {
  if (message.error) { busy = false; trouble(`The model could not answer: ${message.error}`); return; }
  if (coming && message.id === coming.id) {
    trouble("");
    const { units } = coming.sheet, back = (v) => units.y + units.scale * v;
    if (message.quantiles) {
      coming.quantiles = message.quantiles.map((list) => list.map(back));
      coming.independent = Array.from(message.independent, back);
      return;
    }
    const n = coming.targets.length;
    for (let p = 0; p < message.count; p++) {
      coming.values.push(Array.from(message.values.subarray(p * n, (p + 1) * n), back));
      coming.orders.push(message.orders.subarray(p * n, (p + 1) * n));
    }
    coming.count += message.count;
    if (coming.count < coming.shown) return;
    const first = answer !== coming;
    answer = coming;
    if (first) {
      speed = message.milliseconds;
      answer.time = speed;
      busy = false;
      showPaths();
      next();
    }
    if (message.done) { showNumber(); say(); } else if (first) showNumber();
  }
}
