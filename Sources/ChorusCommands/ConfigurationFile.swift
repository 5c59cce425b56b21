import ChorusStorage
import ChorusTensors
import ChorusTraining
import Foundation

/// A training configuration in a JSON file, and which settings the file gives; the others have their defaults.
struct ConfigurationFile {
  let configuration: TrainingConfiguration
  /// Names of the settings in the file; one inside the blueprint is `blueprint.NAME`.
  let given: Set<String>

  /// - Throws: `TrainingError.configuration` for what is no configuration or has a setting that does not exist: a mistyped
  ///   name would train something else for hours.
  init(_ path: String) throws {
    let data = Data(try RegularFile.read(path, limit: Run.configurationLimit))
    do {
      configuration = try JSONDecoder().decode(TrainingConfiguration.self, from: data)
    } catch let error as UnknownField {
      throw TrainingError.configuration("\(path): \(error)")
    } catch let error as DecodingError {
      throw TrainingError.configuration("\(path) \(Self.words(error))")
    }
    let settings = try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
    let network = settings["blueprint"] as? [String: Any] ?? [:]
    given = Set(settings.keys).union(network.keys.map { "blueprint." + $0 })
  }

  /// The decoder's error in a few words.
  private static func words(_ error: DecodingError) -> String {
    func place(_ context: DecodingError.Context) -> String {
      context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
    }
    switch error {
    case .typeMismatch(_, let context) where context.codingPath.isEmpty:
      return "is no JSON object of settings"
    case .typeMismatch(let type, let context):
      return "has in '\(place(context))' something that is no \(type)"
    case .valueNotFound(_, let context): return "has no value in '\(place(context))'"
    case .keyNotFound(let key, let context):
      return "lacks '\(key.stringValue)' in '\(place(context))'"
    case .dataCorrupted(let context):
      let at = context.codingPath.isEmpty ? "" : " in '\(place(context))'"
      return "cannot be read\(at): \(context.debugDescription)"
    default: return "is not JSON with an object of settings"
    }
  }
}
