import Foundation
import Synchronization

/// Whether Ctrl-C was pressed, for commands that then end in good order.
enum Interruption {
  private static let flag = Atomic<Bool>(false)

  static var wanted: Bool { flag.load(ordering: .relaxed) }

  /// From now on the first Ctrl-C, or a request to terminate, is told by ``wanted``; a second Ctrl-C ends the process at once.
  static func watch() {
    signal(SIGINT) { _ in
      Interruption.flag.store(true, ordering: .relaxed)
      signal(SIGINT, SIG_DFL)
    }
    signal(SIGTERM) { _ in Interruption.flag.store(true, ordering: .relaxed) }
  }
}
