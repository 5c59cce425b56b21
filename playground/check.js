// Runs the engine of a page on a request and tells how far its answers are from others, layer by layer:
//
//   node check.js PAGE.html REQUEST.json
//
// The request holds rows, targets, a seed, plans, and what the library makes of them (PlaygroundTests.swift).
const fs = require("fs");
const page = fs.readFileSync(process.argv[2], "utf8");
const request = JSON.parse(fs.readFileSync(process.argv[3], "utf8"));

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

(async () => {
  const module = await WebAssembly.compile(bytes(between('id="wasm">', "</script>")));
  const model = models.find((model) => model.name === request.model);
  const engine = await Engine.start(module, { blueprint: model.blueprint, weights: bytes(model.file) });
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
  for (const { name, calls, order, paths } of request.plans) {
    const drawn = engine.draw(0, paths.length, request.seed, { calls, order });
    told[name] = distance(drawn.values, paths.flat());
    // In one piece or several: the same bits.
    const alone = engine.draw(paths.length - 1, 1, request.seed, { calls, order }).values;
    if (alone.some((value, i) => !Object.is(value, drawn.values[(paths.length - 1) * n + i]))) told[`${name}, alone`] = 1;
  }
  console.log(JSON.stringify(told));
})().catch((error) => { console.error(error.message); process.exit(1); });
