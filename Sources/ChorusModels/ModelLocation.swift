import ChorusFiles
import ChorusTensors

#if canImport(Darwin)
  import Foundation
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Finds shipped weights without ever trapping: a copied binary must still run.
///
/// A name is looked up in this order: the folder named by `CHORUS_WEIGHTS`, a folder `weights` beside the executable,
/// the package's resource bundle beside the executable. Anything with a slash or a file extension is a path. A library that
/// is loaded by a stranger's executable names the folder that it lies in itself.
public enum ModelLocation {
  /// Names of the models that are shipped with the package.
  public static let shipped = ["functions", "gp", "gp-noisy", "sawtooth", "tables", "classes"]
  static let bundleName = "chorus_ChorusModels"

  /// The file of a model.
  ///
  /// - Parameter place: a folder to look in, as in that of the executable, before that one.
  public static func resolve(_ name: String, beside place: String? = nil) throws(ModelError) -> String {
    if name.utf8.contains(UInt8(ascii: "/")) || name.hasSuffix(".safetensors") {
      guard name.isThere else {
        throw .missing("\(name): no such file. Check the path.")
      }
      return name
    }
    let folders = folders(beside: place)
    if let path = find(name, in: folders) { return path }
    if name.isThere { return name }
    throw .missing(
      "no model '\(name)'; give a path, or one of \(shipped.joined(separator: ", ")) with CHORUS_WEIGHTS set to the"
        + " folder that holds them (looked in \(folders.joined(separator: ", ")))")
  }

  /// The file of a shipped model, or nil for any other name.
  ///
  /// A name that a file holds is looked up by this alone: it may come from a stranger, and must not open a path.
  public static func shipped(_ name: String, beside place: String? = nil) -> String? {
    shipped.contains(name) ? find(name, in: folders(beside: place)) : nil
  }

  private static func find(_ name: String, in folders: [String]) -> String? {
    folders.map { "\($0)/\(name).safetensors" }.first(where: \.isThere)
  }

  static func folders(beside place: String? = nil) -> [String] {
    var folders: [String] = []
    if let set = getenv("CHORUS_WEIGHTS").map({ String(cString: $0) }), !set.isEmpty { folders.append(set) }
    var roots = place.map { [$0] } ?? []
    #if os(Linux)
      // What `Bundle` would answer, without what it brings into a library that is linked statically.
      if let executable = "/proc/self/exe".linkedPath { roots.append(executable.folderOfPath) }
    #else
      if let executable = Bundle.main.executableURL?.resolvingSymlinksInPath() {
        roots.append(executable.deletingLastPathComponent().path)
      }
      roots.append(Bundle.main.bundleURL.path)
      if let resources = Bundle.main.resourceURL { roots.append(resources.path) }
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
  public init(named name: String, precision: Precision = .f32) throws {
    try self.init(path: ModelLocation.resolve(name), precision: precision)
  }

  /// The shipped models that are asked of a table: `tables` of its numbers, with `classes` beside it of its categories.
  ///
  /// Without `classes` at hand estimators say categories alone, each row by itself: `ofCategories` is nil then, and whoever asks for a
  /// category should say so.
  ///
  /// - Parameter categories: whether categories are asked for; `classes` is not read where none is.
  public static func ofTables(categories: Bool = true, precision: Precision = .f32) throws -> Model {
    let numbers = try Model(named: "tables", precision: precision)
    guard categories, let path = ModelLocation.shipped("classes") else { return numbers }
    return try numbers.with(ofCategories: Model(path: path, precision: precision))
  }
}
