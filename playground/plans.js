// Plans: how many targets each call draws, and in which order. The names are those of `chorus predict --plan`.

/** Places 0 ..< count from coarse to fine with r = 4, as the library's Hierarchy has them; one list a call. */
function coarseToFine(count, arity = 4) {
  let spacing = 1;
  while (Math.ceil(count / spacing) > 1) spacing *= arity;
  const steps = [[0]];
  for (let gap = spacing; gap > 1; gap /= arity) {
    const step = gap / arity;
    for (let sibling = 1; sibling < arity && sibling * step < count; sibling++) {
      const places = [];
      for (let place = sibling * step; place < count; place += gap) places.push(place);
      steps.push(places);
    }
  }
  return steps;
}

const PLANS = {
  sequential: {
    words: "One after another, shuffled", about: "Each value is drawn knowing all that its path has drawn before. Every path has an order of its own.",
    make: (count) => ({ calls: Array(count).fill(1), order: null }),
  },
  "sequential(order:left-to-right)": {
    words: "One after another, left to right", about: "Each value is drawn knowing all values left of it on its path.",
    make: (count) => ({ calls: Array(count).fill(1), order: Array.from({ length: count }, (_, i) => i) }),
  },
  "coarse-to-fine": {
    words: "Coarse to fine", about: "A few values far apart first, then those between them, many a call: fewer calls, a little is lost.",
    make: (count) => {
      const steps = coarseToFine(count);
      return { calls: steps.map((step) => step.length), order: steps.flat() };
    },
  },
  independent: {
    words: "All at once, independent", about: "One call. No value knows of another, so the paths are not coherent: this is what marginals alone can say.",
    make: (count) => ({ calls: [count], order: Array.from({ length: count }, (_, i) => i) }),
  },
};

if (typeof module !== "undefined") module.exports = { PLANS };
