/// The r-ary coarse-to-fine levels of K points along a line, by their places 0, 1, 2, ... from left to right.
///
/// Level 0 is every r^L-th place, with L the least for which that are at most `anchors` of them. Each further level
/// puts r - 1 places into every gap, from left to right in r - 1 steps; a step takes all gaps side by side. With
/// K = anchors · r^L there are anchors + L(r - 1) steps.
struct Hierarchy {
  /// Places drawn side by side: `first`, `first + spacing`, ....
  struct Step {
    let places: StrideTo<Int>
    /// The distance of neighbouring places once the level is done; 0 for an anchor.
    let stride: Int
    /// Which of the r - 1 places of each gap, from 1.
    let sibling: Int
    /// How many places the step takes.
    let count: Int

    init(from first: Int, by spacing: Int, below end: Int, stride: Int, sibling: Int) {
      places = Swift.stride(from: first, to: end, by: spacing)
      count = (end - first + spacing - 1) / spacing
      self.stride = stride
      self.sibling = sibling
    }
  }

  let count: Int
  let arity: Int
  /// The distance of neighbouring anchors.
  let spacing: Int
  private(set) var steps: [Step] = []

  init(_ count: Int, arity: Int, anchors: Int) throws(PlanError) {
    try check(arity, "r", in: 2...Plan.maximumTargets)
    try check(anchors, "anchors", in: 1...Int.max)
    self.count = count
    self.arity = arity
    var spacing = 1
    // As numbers of anchors, rounded up; counts and r are small enough for the products.
    while (count + spacing - 1) / spacing > anchors { spacing *= arity }
    self.spacing = spacing
    for place in stride(from: 0, to: count, by: spacing) {
      steps.append(Step(from: place, by: 1, below: place + 1, stride: 0, sibling: 0))
    }
    var gap = spacing
    while gap > 1 {
      let step = gap / arity
      for sibling in 1..<arity where sibling * step < count {
        steps.append(Step(from: sibling * step, by: gap, below: count, stride: step, sibling: sibling))
      }
      gap = step
    }
  }

  /// The places in the order of the steps.
  var places: [Int] { steps.flatMap { Array($0.places) } }

  /// What a deep temporal model passes on to a place: the end points of the gap around it at every coarser level, and
  /// the earlier places of its own gap. An anchor has the earlier anchors.
  func lineage(of place: Int, in step: Step) -> [Int] {
    guard step.stride > 0 else { return Array(stride(from: 0, to: place, by: spacing)) }
    var seen: [Int] = []
    var gap = step.stride * arity
    let left = place / gap * gap
    for sibling in 1..<max(1, step.sibling) { seen.append(left + sibling * step.stride) }
    while gap <= spacing {
      let left = place / gap * gap
      for end in [left, left + gap] where end < count && !seen.contains(end) { seen.append(end) }
      gap *= arity
    }
    return seen
  }
}
