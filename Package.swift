// swift-tools-version: 6.3
import PackageDescription

/// With CHORUS_STRICT set (as in .ci/run) warnings in our own targets are errors; never for those who depend on us.
let strict = Context.environment["CHORUS_STRICT"] != nil
let swiftSettings: [SwiftSetting] = strict ? [.treatAllWarnings(as: .error)] : []
let cSettings: [CSetting] = strict ? [.treatAllWarnings(as: .error)] : []

/// A library target of the package; every name but the umbrella's carries the prefix `Chorus`.
func module(
  _ name: String, _ dependencies: String..., products: [Target.Dependency] = [], resources: [Resource] = []
) -> Target {
  .target(
    name: "Chorus\(name)",
    dependencies: dependencies.map { .target(name: $0 == "CChorusKernels" ? $0 : "Chorus\($0)") } + products,
    resources: resources, swiftSettings: swiftSettings)
}

/// The tests of one module; `uses` names further modules the tests import.
func tests(_ name: String, uses: String..., resources: [Resource] = []) -> Target {
  .testTarget(
    name: "Chorus\(name)Tests",
    dependencies: ([name] + uses).map {
      .target(name: $0 == "CChorusKernels" ? $0 : "Chorus\($0)")
    }, resources: resources, swiftSettings: swiftSettings)
}

let package = Package(
  name: "chorus",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "Chorus", targets: ["Chorus"]),
    .executable(name: "chorus", targets: ["ChorusCLI"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    .target(name: "CChorusKernels", cSettings: cSettings),
    module("Tensors", "CChorusKernels"),
    module("Data"),
    module("Files"),
    module("Storage", "CChorusKernels", "Tensors", "Files"),
    module("Memories", "Tensors"),
    module("Plans"),
    module(
      "Models", "Memories", "Data", "Storage",
      resources: [
        .copy("Weights/functions.safetensors"), .copy("Weights/gp.safetensors"),
        .copy("Weights/gp-noisy.safetensors"), .copy("Weights/sawtooth.safetensors"),
      ]),
    module("Inference", "Models", "Plans"),
    module("Priors", "Tensors", "Data"),
    module("Training", "Models", "Priors"),
    module("Evaluation", "Inference", "Priors"),
    module("Tables", "Data", "Tensors", "Files"),
    module("Reports", "Files"),
    module(
      "Commands", "Files", "Evaluation", "Training", "Tables", "Reports", "CChorusKernels",
      products: [.product(name: "ArgumentParser", package: "swift-argument-parser")]),
    .executableTarget(name: "ChorusCLI", dependencies: ["ChorusCommands"], swiftSettings: swiftSettings),
    .target(
      name: "Chorus",
      dependencies: [
        "ChorusInference", "ChorusMemories", "ChorusModels", "ChorusPlans", "ChorusData", "ChorusPriors",
        "ChorusTensors",
        "ChorusTraining",
      ], swiftSettings: swiftSettings),
    tests("Tensors", uses: "CChorusKernels"),
    tests("Data"),
    tests("Files"),
    tests("Storage", uses: "CChorusKernels"),
    tests("Memories", uses: "Tensors"),
    tests("Models", uses: "Memories", resources: [.copy("Fixtures")]),
    tests("Plans"),
    tests("Inference"),
    tests("Priors"),
    tests("Training"),
    tests("Tables", resources: [.copy("Fixtures")]),
    tests("Reports"),
    tests("Evaluation"),
    tests("Commands"),
    .testTarget(name: "ChorusTests", dependencies: ["Chorus"], swiftSettings: swiftSettings),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .gnu11
)
