/// A sum of products that names itself when it outgrows its integer.
struct Count {
  let name: String
  private(set) var value: Int

  init(_ name: String, _ value: Int = 0) {
    self.name = name
    self.value = value
  }

  mutating func add(_ count: Int, times factor: Int = 1) throws(PlanError) {
    let (sum, overflow) = value.addingReportingOverflow(try product(count, factor))
    guard !overflow else { throw .overflow(name) }
    value = sum
  }

  func product(_ a: Int, _ b: Int) throws(PlanError) -> Int {
    let (product, overflow) = a.multipliedReportingOverflow(by: b)
    guard !overflow else { throw .overflow(name) }
    return product
  }
}
