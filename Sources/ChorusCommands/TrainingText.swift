import ChorusPriors
import ChorusStorage
import ChorusTraining
import Foundation

/// A text to train on, its end held out, and what tells it from others.
struct TrainingText {
  let training: TextPrior
  let validation: TextPrior
  let origin: [String: String]

  /// The largest text that is read.
  private static let limit = 1 << 28

  /// - Throws: `StorageError` for a file that cannot be read; `PriorError.stored`, with the file's name, for a text too short
  ///   for windows of the configuration.
  init(path: String, _ configuration: TrainingConfiguration) throws {
    guard configuration.blueprint.family == .sequence,
      configuration.blueprint.head == .categorical(levels: 256)
    else {
      throw TrainingError.configuration(
        "a text is trained on by a network of family 'sequence' with the head 'categorical' of 256 levels, one a byte"
      )
    }
    let data = try RegularFile.read(path, limit: Self.limit)
    let window =
      configuration.context[1] + (configuration.buffers.max() ?? 0) + configuration.targets
    do throws(PriorError) {
      (training, validation) = try TextPrior.split(data, window: window)
    } catch { throw PriorError.stored("\(path): \(error)") }
    origin = ["text": SHA256.digest(data).map { String(format: "%02x", $0) }.joined()]
  }
}
