import ChorusLanguage
import ChorusTensors
import Foundation

@testable import ChorusStorage

/// A model file: what is in it is read or refused, and a model that can be made goes on with a text.
let gguf: @Sendable ([UInt8]) -> Void = { bytes in
  guard let file = try? GGUF(bytes: Data(bytes), file: "t") else { return }
  for tensor in file.tensors {
    let (inputs, outputs) = (tensor.shape[0], tensor.shape.count > 1 ? tensor.shape[1] : 1)
    if let values = try? file.vector(tensor.name, count: inputs) { precondition(values.count == inputs) }
    if let matrix = try? file.matrix(tensor.name, inputs: inputs, outputs: outputs) {
      let row = FloatBuffer(count: inputs)
      matrix.expand(outputs - 1, into: row.pointer)
    }
  }
  if let tokenizer = try? Tokenizer(file) {
    let encoded = tokenizer.encode("it's 12 é\n\n  the end")
    precondition(encoded.tokens.count == encoded.offsets.count)
    precondition(encoded.tokens.allSatisfy { $0 >= 0 && Int($0) < tokenizer.count })
  }
  guard let model = try? LanguageModel(file) else { return }
  var count = 0
  let choice = TokenChoice(temperature: 1, topK: 3, topP: 0.9)
  _ = try? model.generate(after: [0], tokens: 3, by: choice) { _ in count += 1 }
  precondition(count <= 3)
}
