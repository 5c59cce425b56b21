import ChorusPlayground

extension Service {
  /// The page of `chorus playground`, made when it is first asked for.
  func playgroundResponse() throws -> ServiceResponse {
    let bytes = try page.withLock { kept in
      if let kept { return kept }
      let made = Array(try PlaygroundPage().html)
      kept = made
      return made
    }
    return ServiceResponse(200, MediaType.html + "; charset=utf-8", bytes)
  }
}
