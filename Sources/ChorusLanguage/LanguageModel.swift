import ChorusLayers
import ChorusMemories
import ChorusModels
import ChorusPlans
import ChorusStorage
import ChorusTensors

/// A language model out of a GGUF file: its network and its tokenizer.
///
/// Of the architectures that such files name, `llama` is known: root-mean-square norms, rotary positions, grouped key heads,
/// gated feed-forward parts, no biases (Touvron et al. 2023). Weights stay in the mapped file.
///
/// ```swift
/// let model = try LanguageModel(path: "smollm2.gguf")
/// let tokens = model.tokenizer.encode("Once upon a time").tokens
/// ```
public struct LanguageModel: Sendable {
  public let network: TokenNetwork
  public let tokenizer: Tokenizer
  /// The longest sequence that training has shown.
  public let trainedLength: Int
  /// What the file calls itself, where it does.
  public let name: String?

  init(network: TokenNetwork, tokenizer: Tokenizer, trainedLength: Int, name: String?) {
    (self.network, self.tokenizer) = (network, tokenizer)
    (self.trainedLength, self.name) = (trainedLength, name)
  }

  /// Reads a GGUF file, or a model of bytes that was trained here.
  public init(path: String) throws {
    if path.hasSuffix(".safetensors") {
      try self.init(Model(path: path))
    } else {
      try self.init(GGUF(path: path))
    }
  }

  public init(_ file: GGUF) throws {
    tokenizer = try Tokenizer(file)
    let architecture = try file.text("general.architecture")
    guard architecture == "llama" else {
      throw Self.fault(file, "is of the architecture '\(architecture)'; known is llama. Name another file.")
    }
    let blueprint = try Self.blueprint(file)
    trainedLength = blueprint.trainedContext
    name = try? file.text("general.name")
    let tied = file["output.weight"] == nil
    var scope = ParameterScope(matricesInBlocks: true)
    let layers: TokenLayers
    do { layers = try TokenLayers(blueprint, vocabulary: tokenizer.count, tied: tied, &scope) } catch {
      throw Self.fault(file, "has a network that cannot be made: \(error). Name another file.")
    }
    network = TokenNetwork(layers, blueprint, try Self.weights(file, scope.table, blueprint.attention))
  }

  private static func fault(_ file: GGUF, _ detail: String) -> StorageError {
    StorageError(.malformed, file: file.file, detail)
  }

  // MARK: The blueprint

  /// What a file says of its network; what would change its arithmetic and is not known is refused by name.
  private static func blueprint(_ file: GGUF) throws -> Blueprint {
    var blueprint = Blueprint()
    blueprint.family = .sequence
    blueprint.width = try file.integer("llama.embedding_length", in: 8...4096)
    blueprint.layers = try file.integer("llama.block_count", in: 1...128)
    blueprint.heads = try file.integer("llama.attention.head_count", in: 1...128)
    blueprint.feedForward = try file.integer("llama.feed_forward_length", in: 1...16384)
    blueprint.trainedContext = try file.integer("llama.context_length", in: 1...1_000_000)
    blueprint.parts.norm = .rms
    blueprint.parts.feed = .gated
    blueprint.parts.biases = false
    blueprint.parts.epsilon = try file.number("llama.attention.layer_norm_rms_epsilon")
    let keyHeads = try file.integer(
      "llama.attention.head_count_kv", in: 1...128, default: blueprint.heads)
    blueprint.parts.keyHeads = keyHeads == blueprint.heads ? nil : keyHeads
    blueprint.parts.rotary = Rotary(
      base: try file.number("llama.rope.freq_base", default: 10_000), pairing: .neighbours)
    do { try blueprint.validate() } catch {
      throw fault(file, "has a network that cannot be made: \(error). Name another file.")
    }
    let width = blueprint.attention.width
    for key in ["llama.rope.dimension_count", "llama.attention.key_length", "llama.attention.value_length"] {
      _ = try file.integer(key, in: width...width, default: width)
    }
    _ = try file.integer("llama.expert_count", in: 0...0, default: 0)
    let known = ["llama.rope.dimension_count", "llama.rope.freq_base"]
    if let other = file.keys(startingWith: "llama.rope.").first(where: { !known.contains($0) }) {
      throw fault(file, "stretches its positions ('\(other)'), which is not known here. Name another file.")
    }
    return blueprint
  }

  // MARK: Weights

  /// The tensors behind a parameter, with their outputs.
  private static func tensors(_ p: Parameter, _ sizes: AttentionSizes) -> [(name: String, outputs: Int)] {
    let parts = p.path.split(separator: ".")
    guard parts[0] == "block" else {
      let names = [
        "token.weight": "token_embd.weight", "logits.weight": "output.weight",
        "final.norm.gain": "output_norm.weight",
      ]
      return [(names[p.path] ?? p.path, p.columns)]
    }
    let block = "blk.\(parts[1])."
    if parts[2] == "keyvalue" {
      return ["attn_k", "attn_v"].map { (block + $0 + ".weight", sizes.keyColumns) }
    }
    let names: [Substring: String] = [
      "norm1": "attn_norm", "query": "attn_q", "out": "attn_output", "norm2": "ffn_norm", "gate": "ffn_gate",
      "up": "ffn_up", "down": "ffn_down",
    ]
    return [(block + (names[parts[2]] ?? String(parts[2])) + ".weight", p.columns)]
  }

  private static func weights(
    _ file: GGUF, _ table: ParameterTable, _ sizes: AttentionSizes
  ) throws -> Weights {
    var used: Set<String> = []
    var blocks: [BlockMatrix] = []
    for p in table.all where p.isWeight {
      var whole: BlockMatrix?
      for (name, outputs) in tensors(p, sizes) {
        used.insert(name)
        let part = try file.matrix(name, inputs: p.rows, outputs: outputs)
        whole = whole.map { $0.beside(part) } ?? part
      }
      if let whole { blocks.append(whole) }
    }
    guard let weights = Weights(table, blocks: blocks) else {
      throw fault(file, "has matrices of other shapes than its metadata tells. Take a fresh copy.")
    }
    for p in table.all where !p.isWeight {
      for (name, count) in tensors(p, sizes) {
        used.insert(name)
        weights[p].update(from: try file.vector(name, count: count), count: count)
      }
    }
    if let other = file.tensors.first(where: { !used.contains($0.name) }) {
      throw fault(
        file, "has a tensor '\(other.name)' of which this architecture knows nothing. Name another file.")
    }
    return weights
  }
}
