// Runs the engine of a page on a request and tells how far its answers are from others, layer by layer:
//
//   node check.js PAGE.html REQUEST.json
//   node check.js PAGE.html --time       CPU time of 64 paths through 32 points, 20 rows observed, the best of 6
//
// The request holds rows, targets, a seed, plans, and what the library makes of them (PlaygroundTests.swift).
const fs = require("fs");
const { PLANS } = require("./plans.js");
const page = fs.readFileSync(process.argv[2], "utf8");

const between = (first, last) => page.slice(page.indexOf(first) + first.length, page.indexOf(last, page.indexOf(first)));
const script = { exports: {} };
new Function("module", between('<script id="engine-source">', "</script>"))(script);
const { Engine } = script.exports;
const models = JSON.parse(between('<script type="application/json" id="models">', "</script>"));
const bytes = (base64) => new Uint8Array(Buffer.from(base64, "base64"));

const distance = (own, other) => {
  if (own.length !== other.length) throw new Error(`${own.length} numbers against ${other.length}`);
  return own.reduce((most, value, i) => Math.max(most, Math.abs(value - other[i])), 0);
};

async function start(name) {
  const module = await WebAssembly.compile(bytes(between('id="wasm">', "</script>")));
  const model = models.find((model) => model.name === name);
  return Engine.start(module, { blueprint: model.blueprint, weights: bytes(model.file) });
}

async function time(name) {
  const engine = await start(name);
  const x = Array.from({ length: 20 }, (_, i) => -1.9 + 0.15 * i), y = x.map((x) => Math.sin(3 * x));
  let best = Infinity;
  for (let round = 0; round < 6; round++) {
    const begun = process.cpuUsage();
    engine.read(x, y);
    engine.ask(Array.from({ length: 32 }, (_, i) => -2 + i * 4 / 31));
    engine.marginals([0.05, 0.5, 0.95], 0, 0);
    engine.draw(0, 64, 0, { calls: Array(32).fill(1), order: null });
    best = Math.min(best, process.cpuUsage(begun).user / 1000);
  }
  console.log(`${name}: ${best.toFixed(0)} ms`);
}

async function compare(request) {
  const engine = await start(request.model);
  engine.read(request.x, request.y);
  const told = {};
  request.layers.forEach((layer, i) => {
    told[`layer ${i}`] = distance(engine.state(i, Math.max(request.x.length, 1)), layer);
  });
  engine.ask(request.targets);
  told.inputs = distance(engine.embedded(), request.embedded);
  engine.marginals([], 0, request.seed);
  told.head = distance(engine.raw(request.targets.length), request.raw);
  const n = request.targets.length;
  for (const { name, calls, order = null, paths } of request.plans) {
    // The page's own plans are the library's.
    const key = Object.keys(PLANS).filter((key) => name === key || name.startsWith(`${key}(`)).pop();
    const own = key && PLANS[key].make(n);
    if (own && calls.length > 1 && JSON.stringify(own) !== JSON.stringify({ calls, order })) told[`${name}, the plan`] = 1;
    const drawn = engine.draw(0, paths.length, request.seed, { calls, order });
    told[name] = distance(drawn.values, paths.flat());
    // In one piece or several: the same bits.
    const alone = engine.draw(paths.length - 1, 1, request.seed, { calls, order }).values;
    if (alone.some((value, i) => !Object.is(value, drawn.values[(paths.length - 1) * n + i]))) told[`${name}, alone`] = 1;
  }
  console.log(JSON.stringify(told));
}

(async () => {
  if (process.argv[3] !== "--time") return compare(JSON.parse(fs.readFileSync(process.argv[3], "utf8")));
  for (const { name } of models) await time(name);
})().catch((error) => { console.error(error.message); process.exit(1); });
