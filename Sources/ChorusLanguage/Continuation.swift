import ChorusLayers
import ChorusModels
import ChorusTensors

/// A cheaper model with the same tokens, whose proposals another one verifies (Leviathan et al. 2023; Chen et al. 2023).
///
/// ```swift
/// let draft = try Draft(LanguageModel(path: "small.gguf"), length: 4, for: model)
/// let told = try model.generate(after: tokens, tokens: 64, draft: draft) { made.append($0) }
/// print(told.accepted, "of", told.proposed, "stand")
/// ```
public struct Draft: Sendable {
  public let model: LanguageModel
  /// Tokens proposed in a round, which takes so many calls of this model and one of the other.
  public let length: Int

  /// - Throws: `LanguageError.draft` for a model whose tokens are not those of the one that it proposes to.
  public init(_ model: LanguageModel, length: Int, for verifying: LanguageModel) throws(LanguageError) {
    guard model.tokenizer == verifying.tokenizer else {
      throw .draft("the draft has other tokens than the model; name one with the same tokenizer")
    }
    guard length >= 1 else { throw .draft("a draft proposes at least 1 token a round, not \(length)") }
    (self.model, self.length) = (model, length)
  }
}

/// How a text that was going on has ended, and what that took.
public struct Continued: Sendable, Hashable {
  public enum Ending: Sendable { case endOfText, enoughTokens, stopped }
  public fileprivate(set) var ending = Ending.enoughTokens
  /// Calls of the network, those that read the prompt included.
  public fileprivate(set) var calls = 0
  public fileprivate(set) var draftCalls = 0
  /// Tokens that a draft proposed, and those of them that stand.
  public fileprivate(set) var proposed = 0
  public fileprivate(set) var accepted = 0
}

extension LanguageModel {
  /// Goes on with a text.
  ///
  /// Each token has the law that `choice` makes of this network's logits behind all tokens before it, whatever proposes it:
  /// proposals are verified as those of plans are (`Coupling`). What is drawn is a function of the seed, the prompt and the
  /// draft; the likeliest tokens are the same with any draft and with none.
  ///
  /// - Parameters:
  ///   - prompt: at least one token.
  ///   - count: the most tokens to add.
  ///   - reading: what each token reads, of at least prompt + count tokens.
  ///   - draft: what proposes tokens; nil for none, which takes a call a token.
  ///   - stop: asked before every call of a network.
  ///   - emit: gets each token as soon as it is chosen.
  public func generate(
    after prompt: [Int32], tokens count: Int, by choice: TokenChoice = .greedy,
    reading: TextReading = .everything, draft: Draft? = nil, on pool: ThreadPool? = nil,
    stop: () -> Bool = { false },
    emit: (Int32) throws -> Void
  ) throws -> Continued {
    guard !prompt.isEmpty else { throw LanguageError.tooShort(tokens: 0, needed: 1) }
    let (end, trained) = (
      prompt.count + count, min(trainedLength, draft?.model.trainedLength ?? trainedLength)
    )
    let longest = reading.longest(of: end)
    guard longest <= trained else { throw LanguageError.tooLong(tokens: longest, trained: trained) }
    var reader = TextReader(network, reading, tokens: end, on: pool)
    var drafter = draft.map { TextReader($0.model.network, reading, tokens: end, on: pool) }
    var (text, told) = (prompt, Continued())
    func done(_ ending: Continued.Ending) -> Continued {
      (told.ending, told.calls, told.draftCalls) = (ending, reader.calls, drafter?.calls ?? 0)
      return told
    }
    while text.count < end {
      let known = text.count
      // The model itself says one token more, behind all that are proposed.
      let most = min(draft?.length ?? 0, end - known - 1)
      var laws: [Categorical] = []
      while laws.count < most {
        var next: Int32 = 0
        let place = text.count
        let read = drafter?.logits(text, last: 1, stop) { logits in
          laws.append(choice.law(logits))
          next = choice.token(logits, at: place)
        }
        guard read == true else { return done(.stopped) }
        text.append(next)
      }
      var (chosen, refused): ([Int32], Bool) = ([], false)
      let proposed = text[known...]
      let read = reader.logits(text, last: laws.count + 1, stop) { logits in
        guard !refused else { return }
        let place = known + chosen.count
        guard chosen.count < laws.count else {
          chosen.append(choice.token(logits, at: place))
          return
        }
        let coupling = Coupling(exact: choice.law(logits), draft: laws[chosen.count])
        var stream = RandomStream(seed: choice.seed, .verification, 0, UInt64(place))
        refused = !coupling.accepts(.level(Int(proposed[place])), uniform: stream.uniform())
        chosen.append(refused ? Int32(coupling.residual(from: &stream).stored) : proposed[place])
      }
      guard read else { return done(.stopped) }
      told.proposed += laws.count
      told.accepted += chosen.count - 1
      text.removeSubrange(known...)
      for token in chosen {
        if token == tokenizer.end { return done(.endOfText) }
        try emit(token)
        text.append(token)
      }
      reader.forget(from: text.count - 1)
      drafter?.forget(from: text.count - 1)
    }
    return done(.enoughTokens)
  }
}
