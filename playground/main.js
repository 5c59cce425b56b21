// The page: what is on the sheet, what is asked of the engine, what is shown of the answers.

const $ = (id) => document.getElementById(id);
const LEVELS = [0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975];
/** Paths that are drawn in the picture, and those that histograms are made of. */
const SHOWN = 64, COUNTED = 512;

const bytesOf = (base64) => Uint8Array.from(atob(base64.trim()), (c) => c.charCodeAt(0));
const models = JSON.parse($("models").textContent).map((model) => ({
  ...model, exact: model.prior !== "gp-noisy",
  words: { gp: "Exact points", "gp-noisy": "Noisy points", sawtooth: "Sawtooth" }[model.name] ?? model.name,
}));

const state = {
  sheet: null, table: null, model: 0, seed: 0, targets: 32, plan: "sequential", functional: "mean", over: "all",
  threshold: -1, selected: null, mode: "add", chosen: null, step: null, past: [],
};
/** What the engine has answered: `{ request, quantiles, independent, values, orders, count }`. */
let answer = null;
/** The same of a request whose paths are not all there yet. */
let coming = null;
let speed = Infinity;
let dragging = false;

// ---- what is shown ----

const chart = new Chart($("chart"), {
  add: (x, y) => addPoint(x, y, state.mode === "pin"),
  move: movePoint,
  nudge: (index, x, y) => {
    movePoint(index, x, y);
    // A key has no end that is told: it counts as over when nothing has moved for a while.
    clearTimeout(resting);
    resting = setTimeout(endMove, 350);
  },
  end: endMove,
  select: (index) => { if (state.selected !== index) { state.selected = index; showPoints(); } },
  remove: removePoint,
  threshold: (y, by = 0) => {
    const { y0, y1 } = state.sheet.window;
    state.threshold = Math.min(Math.max(y ?? state.threshold + by, y0), y1);
    showThreshold();
    showNumber();
  },
  highlight: (index) => { if (state.chosen !== index) { state.chosen = index; showFront(); showNumber(); } },
});
const histogram = new Histogram($("histogram"));
const reads = new PlanPicture($("reads"), { step: setStep });

/** A path with the observed points that it passes through, or, where it only begins after them, from the last one on. */
function curve(answer, values) {
  const own = answer.targets.map((x, i) => [x, values[i]]), points = answer.points.map((p) => [p.x, p.y]);
  const before = points.filter(([x]) => x < own[0][0]).sort((a, b) => b[0] - a[0]).slice(0, 1);
  const through = !answer.exact ? [] : answer.everywhere ? points : points.filter(([x]) => x > own[0][0]);
  return [...(answer.everywhere ? [] : before), ...own, ...through].sort((a, b) => a[0] - b[0]);
}

function showPaths() {
  if (!answer || answer.sheet !== state.sheet) return;
  chart.fan(answer.fine, answer.quantiles);
  chart.paths(answer.values.slice(0, answer.shown).map((values) => curve(answer, values)));
  $("timing").textContent = `${answer.shown} paths × ${answer.targets.length} points in ${Math.round(answer.time)} ms`;
  showFront();
  showPlan();
}

function showFront() {
  const index = state.chosen ?? 0;
  const isStepping = state.step !== null && answer !== null;
  $("chart").classList.toggle("dimmed", state.chosen !== null || isStepping);
  if (!answer || answer.sheet !== state.sheet || (!isStepping && state.chosen === null) || !answer.values[index]) {
    chart.front();
    return;
  }
  const values = answer.values[index];
  if (!isStepping) { chart.front({ curve: curve(answer, values) }); return; }
  const { calls } = answer.message.plan, order = answer.orders[index];
  const done = calls.slice(0, state.step).reduce((a, b) => a + b, 0), asked = calls[state.step] ?? 0;
  const places = Array.from(order.slice(0, done)), after = Array.from(order.slice(done, done + asked));
  chart.front({ dots: places.map((i) => [answer.targets[i], values[i]]), asked: after.map((i) => answer.targets[i]) });
}

function showPoints() {
  const { points, names, isDate } = state.sheet;
  if (state.selected !== null && state.selected >= points.length) state.selected = null;
  chart.points(points, state.selected);
  $("hint").hidden = points.length > 0;
  const p = points[state.selected];
  $("selection-fields").hidden = !p;
  $("new").textContent = state.mode === "pin" ? "New pin" : "New point";
  $("undo").disabled = state.past.length === 0;
  if (!p) return;
  $("selection-name").textContent = `${p.pin ? "Pin" : "Point"} ${state.selected + 1} of ${points.length}`;
  [$("name-x").textContent, $("name-y").textContent] = [names.x, names.y];
  $("value-x").type = isDate ? "date" : "number";
  if (document.activeElement !== $("value-x")) $("value-x").value = isDate ? shortText(p.x, true) : Number(p.x.toPrecision(5));
  if (document.activeElement !== $("value-y")) $("value-y").value = Number(p.y.toPrecision(5));
}

const showThreshold = () => chart.threshold(state.functional === "below" ? state.threshold : null);

/** Numbers of paths and of independent draws, and what they come to. */
function showNumber() {
  if (!answer || answer.sheet !== state.sheet) return;
  const { targets, values, independent, sheet } = answer, n = targets.length, over = targets.map((_, i) => i);
  const functional = FUNCTIONALS[state.functional], context = { threshold: state.threshold, targets };
  const joint = values.map((path) => functional.of((i) => path[i], over, context));
  const alone = Array.from({ length: independent.length / n }, (_, p) => functional.of((i) => independent[p * n + i], over, context));
  const isPlace = state.functional === "below";
  const chosen = state.chosen === null ? null : joint[state.chosen];
  histogram.draw({ joint, independent: alone, isPlace, isDate: sheet.isDate, chosen, isJoint: answer.message.plan.calls.length > 1 });
  $("finding").innerHTML = finding(joint, alone, functional.words, isPlace, sheet.isDate && isPlace, over.length);
  $("histogram").setAttribute("aria-label", $("finding").textContent);
}

function finding(joint, alone, words, isPlace, isDate, count) {
  const known = [joint, alone].map((list) => list.filter(Number.isFinite).sort((a, b) => a - b));
  if (isPlace) {
    const share = (list, own) => `${Math.round(100 * own.length / list.length)} %`;
    const middle = (own) => (own.length ? `, half of them before ${shortText(quantileOf(own, 0.5), isDate)}` : "");
    return `<b class="joint">${share(joint, known[0])}</b> of the paths go below the threshold${middle(known[0])}. `
      + `Independent values would claim <b class="alone">${share(alone, known[1])}</b>${middle(known[1])}.`;
  }
  if (known.some((own) => own.length < 2)) return "";
  const [a, b] = known.map((own) => [quantileOf(own, 0.05), quantileOf(own, 0.95)]);
  const ratio = (a[1] - a[0]) / Math.max(b[1] - b[0], 1e-300);
  const verdict = ratio > 1.12 ? `${ratio.toFixed(1)} times too narrow`
    : ratio < 0.89 ? `${(1 / ratio).toFixed(1)} times too wide` : "about as wide";
  const digits = 10 ** (Math.floor(Math.log10(Math.max(b[1] - b[0], Math.abs(b[0]) * 1e-3, 1e-12))) - 1);
  const text = (value) => numberText(value, digits);
  const shift = Math.abs(a[0] + a[1] - b[0] - b[1]) / 2 > 0.35 * (a[1] - a[0]) ? ", and in another place" : "";
  return `${words} of ${count} values: 90 % of the paths lie between <b class="joint">${text(a[0])} and ${text(a[1])}</b>. `
    + `Independent values would claim <b class="alone">${text(b[0])} to ${text(b[1])}</b>, ${verdict}${shift}.`;
}

function showPlan() {
  if (!answer || answer.sheet !== state.sheet) return;
  const { calls } = answer.message.plan, index = state.chosen ?? 0;
  reads.draw({
    px: (x) => chart.px(x) , width: chart.width, observed: answer.points.map((p) => p.x), targets: answer.targets, calls,
    order: answer.orders[index] ?? answer.orders[0], step: state.step,
  });
  const words = PLANS[state.plan];
  $("plan-words").textContent = `${words.about} ${calls.length === 1 ? "1 call" : `${calls.length} calls`} for ${answer.targets.length} values a path.`;
  $("reads").setAttribute("aria-label", `${words.words}: ${calls.length} calls. Every call reads ${answer.points.length} observed rows and what its path has drawn before.`);
  $("step").max = calls.length;
  $("step").value = state.step === null ? 0 : state.step + 1;
  $("step-words").textContent = state.step === null ? `of ${calls.length}` : `${state.step + 1} of ${calls.length}`;
}

function setStep(step) {
  if (state.step === step) return;
  state.step = step;
  showFront();
  showPlan();
}

/** For readers who hear the page: what has changed, once it has settled. */
let saying = 0;
function say() {
  clearTimeout(saying);
  saying = setTimeout(() => {
    const { points } = state.sheet, pins = points.filter((p) => p.pin).length;
    $("live").textContent = `${points.length - pins} points, ${pins} pinned. ${$("finding").textContent}`;
  }, 900);
}

// ---- what the reader does ----

function remember() {
  state.past.push(state.sheet.points.map((p) => ({ ...p })));
  if (state.past.length > 100) state.past.shift();
}

function changed() {
  showPoints();
  ask();
}

function addPoint(x, y, pin) {
  if (state.sheet.points.length >= MOST_ROWS) { trouble(`The page reads at most ${MOST_ROWS} points.`); return; }
  remember();
  state.sheet.points.push({ x, y, pin });
  state.selected = state.sheet.points.length - 1;
  changed();
  chart.focus(state.selected);
}

let moved = null, resting = 0;

function endMove() {
  clearTimeout(resting);
  dragging = false;
  moved = null;
  ask();
}

function movePoint(index, x, y) {
  const { x0, x1, y0, y1 } = state.sheet.window, p = state.sheet.points[index];
  if (moved !== index) remember();
  moved = index;
  dragging = true;
  p.x = Math.min(Math.max(x, x0), x1);
  p.y = Math.min(Math.max(y, y0), y1);
  state.selected = index;
  changed();
}

function removePoint(index) {
  remember();
  state.sheet.points.splice(index, 1);
  state.selected = state.sheet.points.length ? Math.min(index, state.sheet.points.length - 1) : null;
  changed();
  if (state.selected !== null) chart.focus(state.selected); else $("new").focus();
}

function undo() {
  const points = state.past.pop();
  if (!points) return;
  state.sheet.points = points;
  changed();
}

/** Another sheet of points. */
function open(sheet) {
  state.sheet = sheet;
  state.past = [];
  state.selected = state.chosen = state.step = null;
  const { y0, y1 } = sheet.window;
  state.threshold = Number((y0 + (y1 - y0) * 0.3).toPrecision(2));
  state.over = sheet.over;
  $("over").value = state.over;
  answer = coming = null;
  busy = false;
  chart.frame(sheet);
  chart.front();
  showThreshold();
  setModel(state.model);
  changed();
}

function setModel(index) {
  state.model = Math.min(index, models.length - 1);
  const radio = document.querySelector(`input[name=points][value="${state.model}"]`);
  if (radio) radio.checked = true;
  const model = models[state.model];
  $("command").textContent = model ? `chorus predict --model ${model.name} --seed ${state.seed}` : "";
  const half = model ? model.reach * state.sheet.part : 0;
  $("units").textContent = `${state.sheet.names.x} from \u2212${half} to ${half}`
    + (state.sheet.units.scale === 1 ? "" : `, ${state.sheet.names.y} less its mean, by its standard deviation`);
}

function openTable(text, name) {
  try {
    state.table = readTable(text);
    const { columns } = state.table, guess = guessColumns(columns);
    for (const [id, chosen] of [["column-x", guess.x], ["column-y", guess.y]]) {
      $(id).replaceChildren(...columns.map((column, i) => new Option(column.name, i, i === chosen, i === chosen)));
    }
    $("columns").hidden = false;
    const own = $("example").querySelector("[value=own]") ?? $("example").appendChild(new Option("", "own"));
    own.textContent = name;
    own.selected = true;
    // Readings of the world are noisy, as a rule.
    state.model = Math.max(0, models.findIndex((model) => !model.exact));
    openColumns();
    trouble("");
  } catch (error) {
    trouble(`${name}: ${error.message}`);
  }
}

function openColumns() {
  try {
    const sheet = dataOf(state.table, Number($("column-x").value), Number($("column-y").value));
    $("read").textContent = sheet.found > sheet.points.length
      ? `the last ${sheet.points.length} of ${sheet.found} rows` : `${sheet.found} rows`;
    open(sheet);
    trouble("");
  } catch (error) {
    trouble(error.message);
  }
}

async function openFile(file) {
  if (!file) return;
  if (file.size > 2e7) { trouble(`${file.name} has more than 20 MB; chorus predict reads it.`); return; }
  openTable(await file.text(), file.name);
}

function fill(id, entries, chosen) {
  $(id).replaceChildren(...Object.entries(entries).map(([key, { words }]) => new Option(words, key, key === chosen, key === chosen)));
}

function begin() {
  fill("example", EXAMPLES, "points");
  fill("functional", FUNCTIONALS, state.functional);
  fill("plan", PLANS, state.plan);
  models.forEach((model, i) => {
    const label = document.createElement("label"), input = document.createElement("input"), span = document.createElement("span");
    [input.type, input.name, input.value] = ["radio", "points", i];
    span.textContent = model.words;
    label.append(input, span);
    $("model").append(label);
  });
  if (models.length < 2) $("model").hidden = true;
  if (models.length === 0) trouble("This page has no model inside; chorus playground puts one in.");
  $("about").textContent = `${models.map((m) => m.name).join(", ")}: a transformer of 250,000 weights that was trained on draws of Gaussian processes. `
    + "It reads your points once and then draws paths value by value. The forward pass is WebAssembly inside this file; nothing leaves your browser. "
    + "chorus predict has larger models for real series and tables.";

  const on = (id, event, act) => $(id).addEventListener(event, act);
  on("example", "change", () => {
    const example = EXAMPLES[$("example").value];
    if (!example) { $("columns").hidden = false; openColumns(); return; }
    $("columns").hidden = true;
    state.model = Math.min(example.model, models.length - 1);
    open(example.make());
  });
  on("file", "change", () => { openFile($("file").files[0]); $("file").value = ""; });
  on("column-x", "change", openColumns);
  on("column-y", "change", openColumns);
  on("undo", "click", undo);
  on("new", "click", () => {
    const { x0, x1, y0, y1 } = state.sheet.window;
    addPoint((x0 + x1) / 2, (y0 + y1) / 2, state.mode === "pin");
  });
  on("remove", "click", () => removePoint(state.selected));
  for (const [id, key] of [["value-x", "x"], ["value-y", "y"]]) {
    on(id, "change", () => {
      const input = $(id), value = input.type === "date" ? input.valueAsNumber / DAY : Number(input.value);
      const p = state.sheet.points[state.selected];
      if (!p || $(id).value === "" || !Number.isFinite(value)) return;
      movePoint(state.selected, key === "x" ? value : p.x, key === "y" ? value : p.y);
      endMove();
    });
  }
  on("mode", "change", (event) => { state.mode = event.target.value; showPoints(); });
  on("model", "change", (event) => { setModel(Number(event.target.value)); ask(); });
  on("functional", "change", () => { state.functional = $("functional").value; showThreshold(); showNumber(); say(); });
  on("over", "change", () => { state.over = $("over").value; state.step = null; ask(); });
  on("plan", "change", () => { state.plan = $("plan").value; state.step = null; ask(); });
  on("step", "input", () => setStep(Number($("step").value) === 0 ? null : Number($("step").value) - 1));
  const setSeed = (seed) => {
    state.seed = Math.min(Math.max(Math.round(seed) || 0, 0), 4294967295);
    $("seed").value = state.seed;
    setModel(state.model);
    ask();
  };
  on("seed", "change", () => setSeed(Number($("seed").value)));
  on("others", "click", () => setSeed(state.seed + 1));
  on("targets", "change", () => { state.targets = Number($("targets").value); state.step = null; ask(); });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && event.target.tagName !== "INPUT") { undo(); event.preventDefault(); }
  });
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      $("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
      if (kind === "drop") openFile(event.dataTransfer?.files[0]);
    });
  }
  new ResizeObserver(() => {
    if (!state.sheet) return;
    chart.resize();
    chart.frame(state.sheet);
    showThreshold();
    showPaths();
    showPoints();
    showNumber();
  }).observe($("chart"));

  chart.resize();
  startEngine();
  open(EXAMPLES.points.make());
}
begin();
