import Foundation

/// Stands in for swift-crypto's SHA-256 in the fuzzing build: compiling that would take longer than the fuzzing. A weak
/// sum is of use here, too: the fuzzer finds inputs whose sum is right, and gets behind the check.
public struct SHA256 {
  public typealias Digest = [UInt8]

  private var state: UInt64 = 0xCBF2_9CE4_8422_2325

  public init() {}

  public mutating func update<D: DataProtocol>(data: D) {
    for byte in data { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
  }

  public func finalize() -> Digest { (0..<32).map { UInt8(truncatingIfNeeded: state >> UInt64($0 % 8 * 8)) } }

  public static func hash<D: DataProtocol>(data: D) -> Digest {
    var hasher = SHA256()
    hasher.update(data: data)
    return hasher.finalize()
  }
}
