import ChorusLanguage
import ChorusStorage
import ChorusTensors

/// A language model that runs in microseconds: two blocks, a vocabulary of all bytes and a few merges.
package enum TinyModel {
  package static let (width, layers, heads, keyHeads, hidden) = (32, 2, 4, 2, 48)
  package static let merges = [
    "t h", "th e", "Ġ the", "i n", "in g", "a n", "Ġ a", "Ġa n", "o u", "e r", "l l",
  ]
  package static let tokens =
    ByteAlphabet.letters.map { String(Character($0)) }
    + merges.map { $0.replacingOccurrences(of: " ", with: "") } + ["<|end|>"]

  package static func writer(seed: UInt64 = 1, tied: Bool = true) -> GGUFWriter {
    var writer = GGUFWriter()
    writer.metadata = [
      ("general.architecture", .text("llama")), ("general.name", .text("tiny")),
      ("llama.block_count", .integer(layers)), ("llama.context_length", .integer(128)),
      ("llama.embedding_length", .integer(width)), ("llama.feed_forward_length", .integer(hidden)),
      ("llama.attention.head_count", .integer(heads)), ("llama.attention.head_count_kv", .integer(keyHeads)),
      ("llama.attention.layer_norm_rms_epsilon", .number(1e-5)), ("llama.rope.freq_base", .number(1000)),
      ("tokenizer.ggml.model", .text("gpt2")), ("tokenizer.ggml.pre", .text("smollm")),
      ("tokenizer.ggml.tokens", .list(tokens.map { .text($0) })),
      ("tokenizer.ggml.token_type", .list(tokens.map { .integer($0 == "<|end|>" ? 3 : 1) })),
      ("tokenizer.ggml.merges", .list(merges.map { .text($0) })),
      ("tokenizer.ggml.eos_token_id", .integer(tokens.count - 1)),
    ]
    var stream = RandomStream(seed: seed)
    func values(_ count: Int, _ scale: Double, around mean: Double = 0) -> [Float] {
      stream.normals(count).map { Float(mean + scale * $0) }
    }
    let (d, keys) = (width, width / heads * keyHeads)
    writer.add("token_embd.weight", [d, tokens.count], values(d * tokens.count, 0.6))
    if !tied { writer.add("output.weight", [d, tokens.count], values(d * tokens.count, 0.6)) }
    writer.add("output_norm.weight", [d], values(d, 0.2, around: 1))
    for block in 0..<layers {
      func add(_ name: String, _ inputs: Int, _ outputs: Int) {
        writer.add("blk.\(block).\(name).weight", [inputs, outputs], values(inputs * outputs, 0.3))
      }
      writer.add("blk.\(block).attn_norm.weight", [d], values(d, 0.2, around: 1))
      add("attn_q", d, d)
      add("attn_k", d, keys)
      add("attn_v", d, keys)
      add("attn_output", d, d)
      writer.add("blk.\(block).ffn_norm.weight", [d], values(d, 0.2, around: 1))
      add("ffn_gate", d, hidden)
      add("ffn_up", d, hidden)
      add("ffn_down", hidden, d)
    }
    return writer
  }

  package static func model(seed: UInt64 = 1, tied: Bool = true) throws -> LanguageModel {
    try LanguageModel(GGUF(bytes: writer(seed: seed, tied: tied).encoded(), file: "tiny.gguf"))
  }
}
