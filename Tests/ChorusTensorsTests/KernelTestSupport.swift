import CChorusKernels
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The instruction sets of this machine. Tests call their tables directly, since switching the process would
/// disturb the tests that run beside them.
let instances: [Int32] = [CK_BASELINE, CK_AVX2, CK_AVX512, CK_NEON].map { Int32($0) }.filter {
  ck_table_for($0) != nil
}

func kernels(_ isa: Int32) -> ck_table { ck_table_for(isa)!.pointee }

/// Reproducible numbers (SplitMix64).
struct Numbers {
  private var state: UInt64

  init(_ seed: Int) { state = UInt64(truncatingIfNeeded: seed) &* 0x9E37_79B9_7F4A_7C15 }

  mutating func bits() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func uniform() -> Double { Double(bits() >> 11) * 0x1p-53 }
  mutating func normal() -> Double { sqrt(-2 * log(1 - uniform())) * cos(2 * .pi * uniform()) }
  mutating func below(_ bound: Int) -> Int { Int(bits() % UInt64(bound)) }
}

/// Buffers of exactly the size asked for, so that a memory checker sees every access beside them.
final class Memory {
  private var blocks: [UnsafeMutableRawPointer] = []
  var numbers: Numbers

  init(seed: Int) { numbers = Numbers(seed) }

  deinit { for block in blocks { free(block) } }

  fileprivate func allocate<T>(_ count: Int, of type: T.Type) -> UnsafeMutablePointer<T> {
    let block = malloc(max(count, 0) * MemoryLayout<T>.stride + (count <= 0 ? 1 : 0))!
    blocks.append(block)
    return block.bindMemory(to: type, capacity: max(count, 0))
  }

  func floats(_ count: Int, filledWith value: Float = 0) -> UnsafeMutablePointer<Float> {
    let p = allocate(count, of: Float.self)
    if count > 0 { p.initialize(repeating: value, count: count) }
    return p
  }

  func normals(_ count: Int) -> UnsafeMutablePointer<Float> {
    let p = floats(count)
    for i in 0..<max(count, 0) { p[i] = Float(numbers.normal()) }
    return p
  }

  /// [rows, columns] with row stride `stride`, without the end of the last row.
  func matrix(_ rows: Int, _ columns: Int, stride: Int) -> UnsafeMutablePointer<Float> {
    normals(rows == 0 ? 0 : (rows - 1) * stride + columns)
  }

  func doubles(_ count: Int) -> UnsafeMutablePointer<Double> {
    let p = allocate(count, of: Double.self)
    for i in 0..<count { p[i] = numbers.normal() }
    return p
  }

  func integers(_ values: [Int]) -> UnsafeMutablePointer<Int32> {
    let p = allocate(values.count, of: Int32.self)
    for (i, value) in values.enumerated() { p[i] = Int32(value) }
    return p
  }
}

extension Memory {
  func words(_ values: [UInt64]) -> UnsafeMutablePointer<UInt64> {
    let p = allocate(values.count, of: UInt64.self)
    for (i, value) in values.enumerated() { p[i] = value }
    return p
  }
}

func withMemory(seed: Int, _ body: (Memory) throws -> Void) rethrows {
  let memory = Memory(seed: seed)
  try withExtendedLifetime(memory) { try body(memory) }
}

/// The largest deviation seen; one expectation a shape is quicker and easier to read than one a number.
struct Deviation {
  private(set) var largest = 0.0
  private(set) var place = ""

  mutating func note(_ got: Float, _ wanted: Double, allowed: Double, _ where: @autoclosure () -> String) {
    note(Double(got), wanted, allowed: allowed, `where`())
  }

  mutating func note(_ got: Double, _ wanted: Double, allowed: Double, _ where: @autoclosure () -> String) {
    let share = got == wanted ? 0 : abs(got - wanted) / allowed
    if share > largest || share.isNaN {
      largest = share.isNaN ? .infinity : share
      place = "\(`where`()): \(got) instead of \(wanted)"
    }
  }

  func expectSmall(_ title: String, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(largest <= 1, "\(title) at \(place)", sourceLocation: sourceLocation)
  }
}

func sameBytes(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int) -> Bool {
  memcmp(a, b, count * MemoryLayout<Float>.stride) == 0
}

func referenceActivation(_ kind: Int, _ x: Double) -> Double {
  switch kind {
  case CK_GELU: 0.5 * x * erfc(-x / 2.0.squareRoot())
  case CK_RELU: max(x, 0)
  default: x
  }
}
