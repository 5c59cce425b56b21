// Answers requests with an engine a model: in a worker, or in the page where a browser starts no worker.

class Session {
  /** @param post takes the answers: `{ id, … }`. */
  constructor(post) {
    this.post = post;
    this.engines = new Map();
    this.latest = 0;
  }

  /** Takes the engine and the models; each is made ready when it is first asked for. */
  start({ wasm, models }) {
    this.module = WebAssembly.compile(wasm);
    this.models = models;
  }

  /** A promise of the engine of a model, the same for all requests. */
  #engine(name) {
    if (!this.engines.has(name)) {
      const model = this.models.find((model) => model.name === name);
      this.engines.set(name, this.module.then((module) => Engine.start(module, model)));
    }
    return this.engines.get(name);
  }

  /**
   * Answers `{ id, model, x, y, fine, targets, levels, seed, plan, paths, independent }`, `x` and `y` being rows, `fine` the inputs
   * that quantiles are wanted at and `targets` those of the paths: first the quantiles, then the paths, some at a time. A later
   * request ends an earlier one.
   */
  async ask(request) {
    this.latest = request.id;
    try {
      await this.#answer(request);
    } catch (error) {
      this.post({ id: request.id, error: String(error.message ?? error) });
    }
  }

  async #answer({ id, model, x, y, fine, targets, levels, seed, plan, paths, independent }) {
    const begun = performance.now();
    const engine = await this.#engine(model);
    if (this.latest !== id) return;
    engine.read(x, y);
    engine.ask(fine);
    const { quantiles } = engine.marginals(levels, 0, seed);
    engine.ask(targets);
    const { draws } = engine.marginals([], independent, seed);
    this.post({ id, quantiles, independent: draws });
    const tile = 16;
    for (let first = 0; first < paths; first += tile) {
      if (first > 0) await Session.pause();
      if (this.latest !== id) return;
      const count = Math.min(tile, paths - first);
      const { values, orders } = engine.draw(first, count, seed, plan);
      const done = first + count >= paths;
      this.post({ id, first, count, values, orders, done, milliseconds: performance.now() - begun });
    }
  }

  /** Lets messages come in. */
  static pause() {
    return new Promise((resolve) => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => { channel.port1.close(); resolve(); };
      channel.port2.postMessage(0);
    });
  }
}

/** In a worker: what the page says is done. */
function listen(scope) {
  const session = new Session((message) => scope.postMessage(message));
  scope.onmessage = ({ data }) => ("start" in data ? session.start(data.start) : session.ask(data.ask));
}
