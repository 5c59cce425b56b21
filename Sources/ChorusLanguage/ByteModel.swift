import ChorusLayers
import ChorusModels

extension LanguageModel {
  /// A model of bytes that was trained here (`chorus train text`): its tokens are the 256 bytes, and one that begins a text.
  ///
  /// - Throws: `ModelError.input` for a model of another kind.
  public init(_ model: Model) throws(ModelError) {
    guard let network = model.network as? SequenceNetwork<CategoricalHead>,
      network.levels == Tokenizer.byteCount
    else {
      throw .input(
        "\(model.source) is no model of a text; name one that `chorus train text` has made, or a GGUF file")
    }
    self.init(
      network: TokenNetwork(network), tokenizer: .bytes,
      trainedLength: max(model.blueprint.trainedContext, 1), name: model.name)
  }
}
