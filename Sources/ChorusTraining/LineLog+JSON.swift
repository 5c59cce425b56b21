import ChorusStorage
import Foundation

/// A log whose lines are JSON objects. Numbers that are none or not finite are text in it ("nan", "inf", "-inf"), for JSON cannot say
/// them and what is logged may have them: a density may be 0.
extension LineLog {
  /// Adds a value as a line; its keys are sorted.
  ///
  /// - Throws: `StorageError` (`system`).
  public func append(json value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    try append(encoder.encode(value))
  }

  /// What a line holds; nil for one that is no such value.
  public static func value<T: Decodable>(_ type: T.Type = T.self, of line: some Sequence<UInt8>) -> T? {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return try? decoder.decode(type, from: Data(line))
  }

  /// Every line that holds such a value, in their order; none of a file that cannot be read.
  public func values<T: Decodable>(_ type: T.Type = T.self, limit: Int = 1 << 30) -> [T] {
    guard let data = try? RegularFile.read(path, limit: limit) else { return [] }
    return data.split(separator: 0x0A).compactMap { Self.value(type, of: $0) }
  }
}
