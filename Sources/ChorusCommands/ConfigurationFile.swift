import ChorusMemories
import ChorusStorage
import ChorusTables
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
    let data = try RegularFile.read(path, limit: Run.configurationLimit)
    do {
      configuration = try JSONDecoder().decode(TrainingConfiguration.self, from: data)
    } catch let error as DecodingError {
      throw TrainingError.configuration("\(path) \(Self.words(error))")
    }
    // A configuration in which every setting is present, optional ones too.
    var full = TrainingConfiguration()
    let spec = MemorySpec(weights: .learned, features: "identity", function: .kernel)
    full.blueprint.memories = [LayerMemory(context: spec, buffer: spec)]
    var names: Set<String> = []
    try Self.check(
      JSONSerialization.jsonObject(with: data),
      JSONSerialization.jsonObject(with: JSONEncoder().encode(full)),
      path, "", into: &names)
    given = names
  }

  private static func check(
    _ value: Any, _ known: Any, _ path: String, _ prefix: String, into names: inout Set<String>
  ) throws {
    if let values = value as? [Any], let first = (known as? [Any])?.first {
      for value in values { try check(value, first, path, prefix, into: &names) }
    }
    guard let settings = value as? [String: Any], let known = known as? [String: Any] else { return }
    for name in settings.keys.sorted() {
      guard let inner = settings[name], let template = known[name] else {
        let all = known.keys.sorted()
        let near = Suggestion.nearest(to: name, among: all).map { " Did you mean '\($0)'?" } ?? ""
        throw TrainingError.configuration(
          "\(path): there is no setting '\(prefix)\(name)'; known are \(all.joined(separator: ", ")).\(near)")
      }
      names.insert(prefix + name)
      // How a fit is found is a name with its own numbers, which its decoder checks.
      if name != "optimiser" { try check(inner, template, path, prefix + name + ".", into: &names) }
    }
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
