// The forward pass in WebAssembly, with a model in its memory. Runs in a worker of the page, in the page itself and in node.

/** The parameters in the order in which the engine takes them. */
function parameterNames(blueprint) {
  const embedder = (name) => ["in", "up", "down"].flatMap((part) => [`${name}.${part}.weight`, `${name}.${part}.bias`]);
  const names = [...embedder("embed.x"), ...embedder("embed.y")];
  if (neighbours(blueprint)) names.push("embed.near.weight", "embed.row.weight");
  names.push("role.context", "role.buffer", "role.target", "context.empty");
  for (let layer = 0; layer < blueprint.layers; layer++) {
    const parts = ["norm1.gain", "norm1.bias", "query.weight", "keyvalue.weight", "out.weight", "out.bias",
      "norm2.gain", "norm2.bias", "up.weight", "up.bias", "down.weight", "down.bias"];
    names.push(...parts.map((part) => `block.${layer}.${part}`));
  }
  return [...names, "final.norm.gain", "final.norm.bias",
    "head.up.weight", "head.up.bias", "head.down.weight", "head.down.bias"];
}

function neighbours(blueprint) {
  return blueprint.hints.find((hint) => hint.name === "local-splines")?.neighbours ?? 0;
}

/** The arrays of a safetensors file as 32-bit floats, by name. */
function readSafetensors(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const arrays = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [begin, end] = entry.data_offsets.map((offset) => offset + 8 + length);
    if (entry.dtype === "F16") {
      arrays[name] = Float32Array.from({ length: (end - begin) / 2 }, (_, i) => half(view.getUint16(begin + 2 * i, true)));
    } else if (entry.dtype === "F32") {
      arrays[name] = Float32Array.from({ length: (end - begin) / 4 }, (_, i) => view.getFloat32(begin + 4 * i, true));
    } else {
      throw new Error(`${name}: weights of type ${entry.dtype} are not read`);
    }
  }
  return arrays;
}

/** A 16-bit float. */
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

class Engine {
  /** An engine of its own for a model `{ blueprint, weights }`, `weights` being the bytes of its safetensors file. */
  static async start(module, model) {
    const instance = await WebAssembly.instantiate(module, {});
    return new Engine(instance.exports, model);
  }

  constructor(wasm, { blueprint, weights }) {
    this.wasm = wasm;
    this.width = blueprint.width;
    this.layers = blueprint.layers;
    this.components = blueprint.head.components;
    const arrays = readSafetensors(weights);
    const parts = parameterNames(blueprint).map((name) => {
      if (!arrays[name]) throw new Error(`the model has no ${name}`);
      return arrays[name];
    });
    const count = parts.reduce((sum, part) => sum + part.length, 0);
    let place = wasm.begin_model(count, blueprint.width, blueprint.layers, blueprint.heads, blueprint.feedForward,
      blueprint.embedderHidden, blueprint.headHidden, blueprint.frequencies, blueprint.head.components,
      blueprint.head.around, neighbours(blueprint), blueprint.head.floor);
    if (!place) throw new Error("the model is of sizes that the page cannot run");
    for (const part of parts) {
      new Float32Array(wasm.memory.buffer, place, part.length).set(part);
      place += 4 * part.length;
    }
    if (!wasm.finish_model()) throw new Error("there is not enough memory for the model");
  }

  #check(place) {
    if (!place) throw new Error("there is not enough memory");
    return place;
  }

  /** Reads rows, in the network's units. */
  read(x, y) {
    const place = this.#check(this.wasm.begin_context(x.length));
    const rows = new Float32Array(this.wasm.memory.buffer, place, 2 * x.length);
    rows.set(x);
    rows.set(y, x.length);
    this.#check(this.wasm.read_rows());
  }

  /** Says which inputs are asked for. */
  ask(x) {
    new Float32Array(this.wasm.memory.buffer, this.#check(this.wasm.begin_questions(x.length)), x.length).set(x);
    this.#check(this.wasm.ask());
    this.targets = x.length;
  }

  /** Quantiles of each target by the rows alone, `[targets][levels]`, and `count` independent draws of all, `[count][targets]`. */
  marginals(levels, count, seed) {
    const laws = this.#check(this.wasm.marginals());
    const bytes = 8 * 3 * this.components;
    const quantiles = Array.from({ length: this.targets }, (_, target) =>
      levels.map((level) => this.wasm.law_quantile(laws + target * bytes, level)));
    const draws = count ? this.#doubles(this.wasm.draw_independent(laws, count, seed), count * this.targets) : [];
    return { quantiles, draws };
  }

  /**
   * Draws paths `first` ..< `first + count`, each a function of its number, the seed, the rows and the plan alone.
   *
   * @param plan `{ calls, order }`: how many targets each call draws, and which one stands at each position (null: each path has
   *   a random order of its own).
   */
  draw(first, count, seed, plan) {
    const n = this.targets, { wasm } = this;
    const { calls, order } = plan;
    const place = this.#check(wasm.begin_paths(calls.length + n + count * n));
    const given = new Int32Array(wasm.memory.buffer, place, calls.length + n);
    given.set(calls);
    if (order) given.set(order, calls.length);
    const own = place + 4 * calls.length, orders = own + 4 * n;
    const values = this.#doubles(
      wasm.draw_paths(first, count, seed, calls.length, place, order ? own : 0, orders), count * n);
    return { values, orders: new Int32Array(wasm.memory.buffer, orders, count * n).slice() };
  }

  #doubles(place, count) {
    return new Float64Array(this.wasm.memory.buffer, this.#check(place), count).slice();
  }

  /** For the test of parity: what a layer holds of the rows, the embedded questions, the raw numbers of `rows` laws. */
  state(layer, rows) { return this.#floats(this.wasm.layer_state(layer), rows * 2 * this.width); }
  embedded() { return this.#floats(this.wasm.embedded(), this.targets * this.width); }
  raw(rows) { return this.#floats(this.wasm.raw(), rows * 3 * this.components); }
  #floats(place, count) { return new Float32Array(this.wasm.memory.buffer, place, count).slice(); }
}

if (typeof module !== "undefined") module.exports = { Engine, readSafetensors };
