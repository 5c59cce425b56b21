// The large picture: bands of quantiles, coherent paths, points that are dragged.

class Chart {
  /**
   * @param svg where it is drawn.
   * @param on what the reader does: `add(x, y)`, `move(index, x, y)`, `end()`, `nudge(index, x, y)` by keys, `select(index)`, `remove(index)`,
   *   `threshold(y)`, `highlight(path)`.
   */
  constructor(svg, on) {
    this.svg = svg;
    this.on = on;
    this.margin = { left: 48, right: 14, top: 14, bottom: 40 };
    this.layers = {};
    for (const name of ["frame", "fan", "paths", "front", "threshold", "points"]) {
      this.layers[name] = element("g", { class: name }, svg);
    }
    this.layers.paths.setAttribute("aria-hidden", "true");
    // What leaves the picture is cut at its frame.
    this.clip = element("rect", {}, element("clipPath", { id: "frame" }, element("defs", {}, svg)));
    for (const name of ["fan", "paths", "front"]) this.layers[name].setAttribute("clip-path", "url(#frame)");
    this.#listen();
  }

  /** Fits the picture to its element. */
  resize() {
    const box = this.svg.getBoundingClientRect();
    [this.width, this.height] = [Math.max(box.width, 240), Math.max(box.height, 200)];
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    const { left, right, top, bottom } = this.margin;
    for (const [name, value] of [["x", left], ["y", top], ["width", this.width - left - right], ["height", this.height - top - bottom]]) {
      this.clip.setAttribute(name, value);
    }
  }

  px(x) {
    const { x0, x1 } = this.sheet.window, { left, right } = this.margin;
    return left + (x - x0) / (x1 - x0) * (this.width - left - right);
  }
  py(y) {
    const { y0, y1 } = this.sheet.window, { top, bottom } = this.margin;
    return top + (y1 - y) / (y1 - y0) * (this.height - top - bottom);
  }
  #place(event) {
    const box = this.svg.getBoundingClientRect(), { left, right, top, bottom } = this.margin;
    const { x0, x1, y0, y1 } = this.sheet.window;
    const u = (event.clientX - box.left - left) / (this.width - left - right);
    const v = (event.clientY - box.top - top) / (this.height - top - bottom);
    const inside = (t) => Math.min(Math.max(t, 0), 1);
    return {
      x: x0 + inside(u) * (x1 - x0), y: y1 - inside(v) * (y1 - y0),
      within: u >= -0.02 && u <= 1.02 && v >= -0.02 && v <= 1.02,
      left: event.clientX - box.left, top: event.clientY - box.top,
    };
  }

  /** Axes, grid and names. */
  frame(sheet) {
    this.sheet = sheet;
    const { frame } = this.layers, { x0, x1, y0, y1 } = sheet.window, { left, right, top, bottom } = this.margin;
    frame.replaceChildren();
    const [floor, end] = [this.height - bottom, this.width - right];
    const down = ticks(y0, y1, Math.max(3, (floor - top) / 60));
    for (const y of down.values) {
      element("path", { class: "grid", d: `M${left} ${round1(this.py(y))}H${end}` }, frame);
      element("text", { class: "tick", x: left - 8, y: round1(this.py(y)) + 4, "text-anchor": "end" }, frame)
        .textContent = numberText(y, down.step);
    }
    const wanted = Math.max(2, (end - left) / 90);
    const plain = ticks(x0, x1, wanted);
    const across = sheet.isDate ? dateTicks(x0, x1, wanted)
      : plain.values.map((value) => ({ value, text: numberText(value, plain.step) }));
    for (const { value, text } of across) {
      const x = round1(this.px(value));
      element("path", { class: "axis", d: `M${x} ${floor}v5` }, frame);
      element("text", { class: "tick", x, y: floor + 18, "text-anchor": "middle" }, frame).textContent = text;
    }
    element("path", { class: "axis", d: `M${left} ${floor}H${end}` }, frame);
    element("text", { class: "name", x: end, y: floor + 34, "text-anchor": "end" }, frame).textContent = sheet.names.x;
    element("text", { class: "name", x: left + 6, y: top + 10 }, frame).textContent = sheet.names.y;
    if (sheet.future !== null && sheet.future < x1) {
      const x = round1(this.px(sheet.future));
      element("path", { class: "now", d: `M${x} ${top}V${floor}` }, frame);
      element("text", { class: "tick", x: x + 5, y: floor - 6 }, frame).textContent = "after the last row";
    }
  }

  /** Bands between quantiles, `[inputs][7]`, and the median. */
  fan(fine, quantiles) {
    const { fan } = this.layers;
    fan.replaceChildren();
    const at = (level) => quantiles.map((q, i) => [this.px(fine[i]), this.py(q[level])]);
    for (const band of [0, 1, 2]) {
      const edge = [...at(band), ...at(6 - band).reverse()];
      element("path", { class: "band", d: line(edge) + "Z" }, fan);
    }
    element("path", { class: "median", d: line(at(3)) }, fan);
  }

  /** Paths as polylines, `[paths][points][2]` in the data's units. */
  paths(curves) {
    const { paths } = this.layers;
    this.curves = curves;
    while (paths.childNodes.length > curves.length) paths.lastChild.remove();
    curves.forEach((curve, i) => {
      const node = paths.childNodes[i] ?? element("path", { class: "path" }, paths);
      node.setAttribute("d", line(curve.map(([x, y]) => [this.px(x), this.py(y)])));
    });
  }

  /** One path in front of the others, or what of one is drawn so far (`dots`, and the inputs `asked` next). */
  front({ curve = null, dots = [], asked = [] } = {}) {
    const { front } = this.layers;
    front.replaceChildren();
    if (curve) element("path", { class: "chosen", d: line(curve.map(([x, y]) => [this.px(x), this.py(y)])) }, front);
    for (const [x, y] of dots) element("circle", { class: "drawn", cx: round1(this.px(x)), cy: round1(this.py(y)), r: 3.5 }, front);
    const { top, bottom } = this.margin;
    for (const x of asked) {
      element("path", { class: "asked", d: `M${round1(this.px(x))} ${top}V${this.height - bottom}` }, front);
    }
  }

  /** The line of "first below", or none. */
  threshold(y) {
    const { threshold } = this.layers;
    if (y === null) { threshold.replaceChildren(); return; }
    const { left, right } = this.margin, at = round1(this.py(y));
    if (!threshold.firstChild) {
      element("path", { class: "level" }, threshold);
      const grip = element("g", { class: "grip", tabindex: 0, role: "slider", "aria-label": "Threshold" }, threshold);
      element("rect", { width: 30, height: 30, class: "hit" }, grip);
      element("rect", { width: 12, height: 18, rx: 3, class: "knob" }, grip);
      element("path", { class: "mark", d: "M3 7h6M3 11h6" }, grip);
    }
    const [level, grip] = threshold.childNodes;
    level.setAttribute("d", `M${left} ${at}H${this.width - right}`);
    const x = this.width - right - 14;
    grip.childNodes[0].setAttribute("transform", `translate(${x - 9} ${at - 15})`);
    grip.childNodes[1].setAttribute("transform", `translate(${x} ${at - 9})`);
    grip.childNodes[2].setAttribute("transform", `translate(${x} ${at - 9})`);
    const { y0, y1 } = this.sheet.window;
    for (const [name, value] of [["valuemin", y0], ["valuemax", y1], ["valuenow", y]]) {
      grip.setAttribute(`aria-${name}`, shortText(value).replace("\u2212", "-"));
    }
  }

  /** Points and pins; nodes stay with their numbers, so that the focus stays. */
  points(points, selected) {
    const { points: layer } = this.layers;
    while (layer.childNodes.length > points.length) layer.lastChild.remove();
    points.forEach((p, i) => {
      let node = layer.childNodes[i];
      if (!node) {
        node = element("g", { tabindex: -1, role: "button" }, layer);
        element("circle", { class: "hit", r: 18 }, node);
        element("path", { class: "mark" }, node);
      }
      const small = points.length > 60;
      node.setAttribute("class", `point${p.pin ? " pin" : ""}${small ? " small" : ""}${i === selected ? " selected" : ""}`);
      node.setAttribute("transform", `translate(${round1(this.px(p.x))} ${round1(this.py(p.y))})`);
      const r = small ? 2.6 : 5;
      node.lastChild.setAttribute("d", p.pin ? "M0-8L8 0L0 8L-8 0Z" : `M${r} 0A${r} ${r} 0 1 1 ${-r} 0A${r} ${r} 0 1 1 ${r} 0Z`);
      node.firstChild.setAttribute("r", small ? 7 : 18);
      node.setAttribute("tabindex", i === (selected ?? 0) ? 0 : -1);
      node.setAttribute("aria-pressed", String(i === selected));
      node.setAttribute("aria-label", `${p.pin ? "Pinned value" : "Point"} ${i + 1} of ${points.length}: ${this.sheet.names.x} ${
        shortText(p.x, this.sheet.isDate)}, ${this.sheet.names.y} ${shortText(p.y)}. Arrow keys move it, Delete removes it.`);
    });
  }

  focus(index) { this.layers.points.childNodes[index]?.focus(); }

  /** The point that is nearest to a place, within some pixels. */
  #nearest(place, within) {
    let best = null, least = within ** 2;
    this.sheet.points.forEach((p, i) => {
      const square = (this.px(p.x) - place.left) ** 2 + (this.py(p.y) - place.top) ** 2;
      if (square <= least) [best, least] = [i, square];
    });
    return best;
  }

  /** The path that passes nearest to a place, within some pixels. */
  #pathNear(place, within) {
    let best = null, least = within;
    (this.curves ?? []).forEach((curve, i) => {
      for (let k = 1; k < curve.length; k++) {
        const [ax, bx] = [this.px(curve[k - 1][0]), this.px(curve[k][0])];
        if (place.left < ax || place.left > bx) continue;
        const t = bx > ax ? (place.left - ax) / (bx - ax) : 0;
        const away = Math.abs(this.py(curve[k - 1][1] + t * (curve[k][1] - curve[k - 1][1])) - place.top);
        if (away < least) [best, least] = [i, away];
      }
    });
    return best;
  }

  #listen() {
    let held = null, begun = null;
    this.svg.addEventListener("pointerdown", (event) => {
      if (event.button > 0) return;
      const place = this.#place(event);
      if (event.target.closest(".grip")) held = "threshold";
      else held = this.#nearest(place, event.pointerType === "touch" ? 22 : 12);
      begun = held === null ? place : null;
      if (held === null) return;
      this.svg.setPointerCapture(event.pointerId);
      if (held !== "threshold") { this.on.select(held); this.focus(held); }
      event.preventDefault();
    });
    this.svg.addEventListener("pointermove", (event) => {
      const place = this.#place(event);
      if (held === "threshold") this.on.threshold(place.y);
      else if (held !== null) this.on.move(held, place.x, place.y);
      else if (event.pointerType === "mouse" && event.buttons === 0) {
        this.on.highlight(place.within && this.#nearest(place, 12) === null ? this.#pathNear(place, 8) : null);
      }
    });
    const release = (event) => {
      const place = this.#place(event);
      if (held !== null) this.on.end();
      else if (begun && place.within && Math.hypot(place.left - begun.left, place.top - begun.top) < 8) {
        this.on.add(place.x, place.y);
      }
      held = begun = null;
    };
    this.svg.addEventListener("pointerup", release);
    this.svg.addEventListener("pointercancel", () => { if (held !== null) this.on.end(); held = begun = null; });
    this.svg.addEventListener("pointerleave", () => { if (held === null) this.on.highlight(null); });
    this.svg.addEventListener("keydown", (event) => this.#key(event));
    this.svg.addEventListener("focusin", (event) => {
      const point = event.target.closest(".point");
      if (point) this.on.select([...this.layers.points.childNodes].indexOf(point));
    });
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { x0, x1, y0, y1 } = this.sheet.window, far = event.shiftKey ? 10 : 1;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    const point = event.target.closest(".point");
    if (event.target.closest(".grip") && step) {
      this.on.threshold(null, (step[0] + step[1]) * far * (y1 - y0) / 100);
    } else if (point) {
      const index = [...this.layers.points.childNodes].indexOf(point), p = this.sheet.points[index];
      if (step) this.on.nudge(index, p.x + step[0] * far * (x1 - x0) / 100, p.y + step[1] * far * (y1 - y0) / 100);
      else if (event.key === "Delete" || event.key === "Backspace") this.on.remove(index);
      else if (event.key === "PageDown" || event.key === "PageUp") {
        const n = this.sheet.points.length;
        this.focus((index + (event.key === "PageDown" ? 1 : n - 1)) % n);
      } else return;
    } else return;
    event.preventDefault();
  }
}
