// The small pictures: a number made of whole paths, joint beside independent, and what the plan reads.

/** Numbers made of the values of a path, `over` being the places of the values that count. */
const FUNCTIONALS = {
  mean: { words: "Mean", of: (values, over) => over.reduce((sum, i) => sum + values(i), 0) / over.length },
  sum: { words: "Sum", of: (values, over) => over.reduce((sum, i) => sum + values(i), 0) },
  max: { words: "Largest value", of: (values, over) => over.reduce((most, i) => Math.max(most, values(i)), -Infinity) },
  min: { words: "Smallest value", of: (values, over) => over.reduce((least, i) => Math.min(least, values(i)), Infinity) },
  rise: { words: "Last less first value", of: (values, over) => values(over[over.length - 1]) - values(over[0]) },
  below: {
    words: "First place below a threshold",
    of: (values, over, { threshold, targets }) => {
      const first = over.find((i) => values(i) < threshold);
      return first === undefined ? NaN : targets[first];
    },
  },
};

/** Two histograms on one axis: joint above, independent below. */
class Histogram {
  constructor(svg) { this.svg = svg; }

  /**
   * @param joint, independent numbers; NaN for those that have none (never below).
   * @param chosen the number of the path that is pointed at, or null.
   * @param isJoint whether the plan's values know of each other.
   */
  draw({ joint, independent, isPlace, isDate, chosen, isJoint }) {
    const { svg } = this, box = svg.getBoundingClientRect();
    const width = Math.max(box.width, 200), height = Math.max(box.height, 160);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren();
    const known = [joint, independent].map((list) => list.filter(Number.isFinite).sort((a, b) => a - b));
    const all = [...known[0], ...known[1]];
    if (all.length === 0) {
      element("text", { class: "tick", x: width / 2, y: height / 2, "text-anchor": "middle" }, svg).textContent =
        isPlace ? "no path goes below the threshold" : "";
      return;
    }
    const sorted = [...all].sort((a, b) => a - b);
    let [low, high] = [quantileOf(sorted, 0.001), quantileOf(sorted, 0.999)];
    if (!(high > low)) [low, high] = [low - 0.5, high + 0.5];
    const room = (high - low) * 0.04;
    [low, high] = [low - room, high + room];
    const never = isPlace ? 46 : 0, left = 6, right = width - 6 - never, bins = Math.round(Math.min(40, (right - left) / 9));
    const px = (value) => left + (value - low) / (high - low) * (right - left);
    const densities = known.map((list, row) => {
      const counts = Array(bins).fill(0);
      for (const value of list) {
        const bin = Math.floor((value - low) / (high - low) * bins);
        if (bin >= 0 && bin < bins) counts[bin] += 1 / [joint, independent][row].length;
      }
      return counts;
    });
    const axis = 34, half = (height - axis) / 2, most = Math.max(...densities.flat(), 1e-9);
    ["joint", "independent"].forEach((name, row) => {
      const floor = half * (row + 1) - 16, tall = half - 38;
      let d = `M${left} ${round1(floor)}`;
      densities[row].forEach((value, i) => {
        const [a, b] = [px(low + i * (high - low) / bins), px(low + (i + 1) * (high - low) / bins)];
        d += `L${round1(a)} ${round1(floor - value / most * tall)}L${round1(b)} ${round1(floor - value / most * tall)}`;
      });
      element("path", { class: `bars ${name}`, d: `${d}L${right} ${round1(floor)}Z` }, svg);
      element("path", { class: "axis", d: `M${left} ${round1(floor)}H${right}` }, svg);
      element("text", { class: `label ${name}`, x: left, y: round1(half * row + 13) }, svg).textContent =
        name === "independent" ? "Independent values" : isJoint ? "Joint: whole paths" : "Paths of this plan, independent too";
      if (known[row].length > 1) {
        const [a, b] = [0.05, 0.95].map((level) => round1(px(quantileOf(known[row], level))));
        element("path", { class: `interval ${name}`, d: `M${a} ${round1(floor + 4)}v6M${a} ${round1(floor + 7)}H${b}M${b} ${round1(floor + 4)}v6` }, svg);
      }
      if (never) {
        const list = [joint, independent][row], share = list.filter(Number.isNaN).length / Math.max(list.length, 1);
        element("rect", { class: `bars ${name}`, x: right + 16, width: 20, y: round1(floor - share * tall), height: round1(share * tall) }, svg);
        element("text", { class: "tick", x: right + 26, y: round1(floor - share * tall - 4), "text-anchor": "middle" }, svg).textContent = `${Math.round(100 * share)} %`;
      }
    });
    const wanted = Math.max(2, (right - left) / 70), plain = ticks(low, high, wanted);
    const marks = isPlace && isDate ? dateTicks(low, high, wanted) : plain.values.map((value) => ({ value, text: numberText(value, plain.step) }));
    for (const { value, text } of marks) {
      if (px(value) > right - 10 || px(value) < left + 10) continue;
      element("text", { class: "tick", x: round1(px(value)), y: height - 12, "text-anchor": "middle" }, svg).textContent = text;
    }
    if (never) element("text", { class: "tick", x: right + 26, y: height - 12, "text-anchor": "middle" }, svg).textContent = "never";
    if (chosen !== null && Number.isFinite(chosen)) {
      element("path", { class: "pointer", d: `M${round1(px(chosen))} 16V${round1(half - 16)}` }, svg);
    }
  }
}

/** Which values each call of a plan reads, along the axis of the large picture. */
class PlanPicture {
  /** @param on `step(call)`: the call that is pointed at, or null. */
  constructor(svg, on) {
    this.svg = svg;
    this.on = on;
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      on.step(this.#call(event.clientY - box.top));
    });
    svg.addEventListener("pointerleave", () => on.step(null));
  }

  #call(y) {
    const call = Math.floor((y - this.top) / this.row);
    return this.calls && call >= 0 && call < this.calls.length ? call : null;
  }

  /**
   * @param px where an input stands.
   * @param order which target stands at each position of the path that is shown.
   */
  draw({ px, width, observed, targets, calls, order, step }) {
    const { svg } = this;
    this.calls = calls;
    [this.top, this.row] = [16, calls.length > 1 ? Math.min(24, Math.max(5.5, 200 / calls.length)) : 24];
    const height = this.top + this.row * calls.length + 6;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.style.height = `${height}px`;
    svg.replaceChildren();
    const dot = Math.min(3, this.row * 0.4);
    const circle = (x, y, r) => `M${round1(x + r)} ${round1(y)}a${r} ${r} 0 1 1 ${-2 * r} 0a${r} ${r} 0 1 1 ${2 * r} 0Z`;
    let [read, asked, seen] = ["", "", ""];
    let done = 0;
    calls.forEach((size, call) => {
      const y = this.top + this.row * (call + 0.5);
      if (call === step) element("rect", { class: "current", x: 0, width, y: y - this.row / 2, height: this.row, rx: 3 }, svg);
      for (let i = 0; i < done; i++) read += circle(px(targets[order[i]]), y, round1(dot * 0.75));
      for (let i = 0; i < size; i++) asked += circle(px(targets[order[done + i]]), y, round1(dot));
      for (const x of observed) seen += `M${round1(px(x))} ${round1(y - this.row / 2)}v${round1(this.row)}`;
      done += size;
    });
    element("path", { class: "seen", d: seen, opacity: observed.length > 40 ? 0.3 : 0.8 }, svg);
    element("path", { class: "read", d: read }, svg);
    element("path", { class: "ask", d: asked }, svg);
    element("text", { class: "tick", x: 4, y: this.top + this.row * 0.5 + 4 }, svg).textContent = calls.length > 1 ? "first" : "only call";
    if (calls.length > 1) element("text", { class: "tick", x: 4, y: height - 8 }, svg).textContent = "last";
  }
}
