import ChorusFiles

/// What killed writers of files leave behind.
public enum Remains {
  /// Removes the temporary files, `.NAME.UUID.tmp`, in a folder in which nobody else writes now.
  public static func remove(in folder: String) {
    let names = (try? Disk.names(in: folder)) ?? []
    for name in names where name.hasPrefix(".") && name.hasSuffix(".tmp") {
      let parts = name.dropLast(4).split(separator: ".", omittingEmptySubsequences: false)
      if parts.count > 2, UniqueName.isOne(parts[parts.count - 1]) {
        Disk.remove(folder + "/" + name)
      }
    }
  }
}
