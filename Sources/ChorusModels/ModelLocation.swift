import Foundation

/// Finds shipped weights without ever trapping: a copied binary must still run.
///
/// A name is looked up in this order: the folder named by `CHORUS_WEIGHTS`, a folder `weights` beside the executable,
/// the package's resource bundle beside the executable. Anything with a slash or a file extension is a path.
public enum ModelLocation {
  /// Names of the models that are shipped with the package.
  public static let shipped = ["functions", "gp", "gp-noisy", "sawtooth", "tables"]
  static let bundleName = "chorus_ChorusModels"

  public static func resolve(_ name: String) throws(ModelError) -> String {
    if name.contains("/") || name.hasSuffix(".safetensors") {
      guard FileManager.default.fileExists(atPath: name) else {
        throw .missing("\(name): no such file. Check the path.")
      }
      return name
    }
    if let path = find(name) { return path }
    if FileManager.default.fileExists(atPath: name) { return name }
    throw .missing(
      "no model '\(name)'; give a path, or one of \(shipped.joined(separator: ", ")) with CHORUS_WEIGHTS set to the"
        + " folder that holds them (looked in \(folders.joined(separator: ", ")))")
  }

  /// The file of a shipped model, or nil for any other name.
  ///
  /// A name that a file holds is looked up by this alone: it may come from a stranger, and must not open a path.
  public static func shipped(_ name: String) -> String? { shipped.contains(name) ? find(name) : nil }

  private static func find(_ name: String) -> String? {
    folders.map { "\($0)/\(name).safetensors" }.first { FileManager.default.fileExists(atPath: $0) }
  }

  static var folders: [String] {
    var folders: [String] = []
    if let set = ProcessInfo.processInfo.environment["CHORUS_WEIGHTS"], !set.isEmpty { folders.append(set) }
    var roots: [String] = []
    if let executable = Bundle.main.executableURL?.resolvingSymlinksInPath() {
      roots.append(executable.deletingLastPathComponent().path)
    }
    roots.append(Bundle.main.bundleURL.path)
    if let resources = Bundle.main.resourceURL { roots.append(resources.path) }
    #if canImport(Darwin)
      // Under a test runner the main bundle is the runner's; the code's own bundle is where the build put it.
      roots.append(Bundle(for: Stack.self).bundleURL.path)
      roots.append(Bundle(for: Stack.self).bundleURL.deletingLastPathComponent().path)
    #endif
    for root in roots {
      for inner in [
        "weights", "\(bundleName).resources", "\(bundleName).bundle",
        "\(bundleName).bundle/Contents/Resources",
      ] {
        let folder = root + "/" + inner
        if !folders.contains(folder) { folders.append(folder) }
      }
    }
    return folders
  }
}

extension Model {
  /// A shipped model by name, or one from a path.
  public init(named name: String) throws {
    try self.init(path: ModelLocation.resolve(name))
  }
}
