// swift-tools-version: 6.3
import PackageDescription

/// With CHORUS_STRICT set (as in .ci/run) warnings in our own targets are errors; never for those who depend on us.
let strict = Context.environment["CHORUS_STRICT"] != nil
/// With CHORUS_TSAN set (as in .ci/tsan) locks are those that ThreadSanitizer watches.
let watched = Context.environment["CHORUS_TSAN"] != nil
let swiftSettings: [SwiftSetting] =
  (strict ? [.treatAllWarnings(as: .error)] : []) + (watched ? [.define("CHORUS_TSAN")] : [])
let cSettings: [CSetting] = strict ? [.treatAllWarnings(as: .error)] : []

/// A library target of the package; every name but the umbrella's carries the prefix `Chorus`.
func module(
  _ name: String, _ dependencies: String..., products: [Target.Dependency] = [], resources: [Resource] = []
) -> Target {
  .target(
    name: "Chorus\(name)",
    dependencies: dependencies.map { .target(name: $0.hasPrefix("CChorus") ? $0 : "Chorus\($0)") } + products,
    resources: resources, swiftSettings: swiftSettings)
}

/// What only `chorus serve` needs.
let service = TargetDependencyCondition.when(traits: ["Service"])
/// What only training in several processes needs.
let mpi = TargetDependencyCondition.when(traits: ["MPI"])
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

/// The tests of one module; `uses` names further modules the tests import.
func tests(
  _ name: String, uses: String..., products: [Target.Dependency] = [], resources: [Resource] = []
) -> Target {
  .testTarget(
    name: "Chorus\(name)Tests",
    dependencies: ([name] + uses).map { .target(name: $0.hasPrefix("CChorus") ? $0 : "Chorus\($0)") }
      + products,
    resources: resources, swiftSettings: swiftSettings)
}

let package = Package(
  name: "chorus",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "Chorus", targets: ["Chorus"]),
    .executable(name: "chorus", targets: ["ChorusCLI"]),
    // Not "chorus", which the program is; tools/library makes libchorus.so of the same objects, with the runtime linked in.
    .library(name: "chorus-c", type: .dynamic, targets: ["ChorusC"]),
  ],
  traits: [
    .trait(
      name: "Service",
      description:
        "chorus serve: contexts over HTTP. Off by default, since it builds an HTTP server beside Chorus."),
    .trait(
      name: "MPI",
      description:
        "chorus train --ranks: one training in many processes. Off by default, since it needs Open MPI (libopenmpi-dev)."
    ),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  ],
  targets: [
    .target(name: "CChorusKernels", cSettings: cSettings),
    .target(name: "CChorusSignals", cSettings: cSettings),
    module("Tensors", "CChorusKernels"),
    module("Data"),
    module("Files"),
    module("Storage", "CChorusKernels", "Tensors", "Files"),
    module("Memories", "CChorusKernels", "Tensors"),
    module("Layers", "CChorusKernels", "Tensors", "Data", "Memories"),
    module("Hints", "Tensors", "Data"),
    module("Plans"),
    module(
      "Models", "Layers", "Hints", "Memories", "Data", "Plans", "Files", "Storage", "Tensors",
      resources: [
        .copy("Weights/functions.safetensors"), .copy("Weights/gp.safetensors"),
        .copy("Weights/gp-noisy.safetensors"), .copy("Weights/sawtooth.safetensors"),
        .copy("Weights/tables.safetensors"), .copy("Weights/classes.safetensors"),
      ]),
    module(
      "Inference", "Models", "Layers", "Hints", "Memories", "Data", "Plans", "Files", "Storage", "Tensors"),
    module(
      "Language", "CChorusKernels", "Models", "Layers", "Memories", "Plans", "Storage", "Tensors"),
    module("Priors", "Memories", "Tensors", "Data"),
    module(
      "Training", "Files", "Models", "Layers", "Hints", "Data", "Priors", "Storage", "Tensors",
      "CChorusKernels"),
    module(
      "Evaluation", "Inference", "Models", "Layers", "Hints", "Memories", "Plans", "Data", "Priors", "Tensors"
    ),
    module(
      "Experiments", "Training", "Evaluation", "Inference", "Models", "Memories", "Plans", "Priors", "Data",
      "Storage",
      "Files",
      "Tensors"),
    module("Tables", "Data", "Files", "Tensors"),
    module("Questions", "Inference", "Models", "Plans", "Tables", "Data", "Storage", "Files", "Tensors"),
    module(
      "Service", "Questions", "Inference", "Evaluation", "Models", "Plans", "Tables", "Data", "Storage",
      "Playground", "Files", "Tensors"),
    module("Reports", "Files"),
    .target(name: "CChorusPage", exclude: ["playground.html"], cSettings: cSettings),
    .target(
      name: "ChorusPlayground",
      dependencies: ["CChorusPage", "ChorusModels", "ChorusHints", "ChorusLayers", "ChorusStorage"],
      swiftSettings: swiftSettings),
    module(
      "Commands", "Files", "Evaluation", "Inference", "Language", "Models", "Layers", "Hints", "Memories",
      "Plans",
      "Priors",
      "Training", "Experiments", "Questions", "Tables", "Data", "Storage", "Reports", "Playground", "Tensors",
      "CChorusKernels", "CChorusSignals",
      products: [
        argumentParser, "ChorusMPI", .target(name: "ChorusService", condition: service),
        .target(name: "ChorusHTTP", condition: service),
      ]),
    // These two are empty without their traits.
    .target(
      name: "ChorusMPI",
      dependencies: ["ChorusTraining", .target(name: "CMPI", condition: mpi)], swiftSettings: swiftSettings),
    .systemLibrary(
      name: "CMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"]), .brew(["open-mpi"])]),
    .target(
      name: "ChorusHTTP",
      dependencies: [
        "ChorusService", "ChorusFiles", "ChorusTensors",
        .product(name: "Hummingbird", package: "hummingbird", condition: service),
        .product(name: "HummingbirdCore", package: "hummingbird", condition: service),
        .product(name: "NIOCore", package: "swift-nio", condition: service),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle", condition: service),
        .product(name: "Logging", package: "swift-log", condition: service),
      ], swiftSettings: swiftSettings),
    .target(name: "CChorus", cSettings: cSettings),
    .target(
      name: "ChorusC",
      dependencies: [
        "CChorus", "ChorusData", "ChorusFiles", "ChorusInference", "ChorusLayers", "ChorusModels",
        "ChorusPlans", "ChorusStorage", "ChorusTables", "ChorusTensors",
      ], swiftSettings: swiftSettings),
    .executableTarget(name: "ChorusCLI", dependencies: ["ChorusCommands"], swiftSettings: swiftSettings),
    .target(
      name: "Chorus",
      dependencies: [
        "ChorusHints", "ChorusInference", "ChorusLanguage", "ChorusLayers", "ChorusMemories", "ChorusModels",
        "ChorusPlans", "ChorusData", "ChorusPriors",
        "ChorusTensors",
        "ChorusTraining",
      ], swiftSettings: swiftSettings),
    tests("Tensors", uses: "CChorusKernels"),
    tests("Data"),
    tests("Files"),
    tests("Storage", uses: "CChorusKernels"),
    tests("Memories", uses: "Tensors"),
    tests("Layers", uses: "Memories", "Tensors", "Data"),
    tests("Hints", uses: "Tensors", "Data", resources: [.copy("Fixtures")]),
    tests(
      "Models", uses: "Layers", "Hints", "Memories", "Tensors", "Data", "Storage", "Plans",
      resources: [.copy("Fixtures")]),
    tests("Plans"),
    tests(
      "Inference", uses: "Models", "Layers", "Hints", "Memories", "Plans", "Priors", "Data", "Storage",
      "Tensors"
    ),
    .target(
      name: "ChorusLanguageFixtures",
      dependencies: ["ChorusLanguage", "ChorusStorage", "ChorusTensors"],
      path: "Tests/ChorusLanguageFixtures", swiftSettings: swiftSettings),
    tests(
      "Language", uses: "LanguageFixtures", "Files", "Models", "Layers", "Hints", "Memories", "Plans",
      "Storage", "Tensors"),
    .testTarget(
      name: "ChorusCTests",
      dependencies: ["CChorus", "ChorusC", "ChorusData", "ChorusInference", "ChorusModels"],
      swiftSettings: swiftSettings),
    tests(
      "Experiments", uses: "Training", "Evaluation", "Inference", "Models", "Layers", "Memories", "Plans",
      "Priors", "Data", "Storage", "Tensors"),
    tests("Priors", uses: "Tensors", "Data"),
    tests(
      "Training", uses: "Inference", "Models", "Layers", "Hints", "Memories", "Plans", "Priors", "Data",
      "Storage", "Tensors"),
    tests("Tables", resources: [.copy("Fixtures")]),
    tests("Reports"),
    tests(
      "Playground", uses: "Models", "Inference", "Plans", "Data", "Hints", "Layers", "Tensors"),
    tests(
      "Service", uses: "Questions", "Inference", "Models", "Plans", "Tables", "Data", "Files",
      "Tensors"),
    tests("Evaluation", uses: "Inference", "Models", "Layers", "Hints", "Plans", "Priors", "Data", "Tensors"),
    tests(
      "Commands", uses: "Evaluation", "Inference", "Language", "LanguageFixtures", "Files", "Models",
      "Layers", "Hints", "Plans", "Priors", "Training", "Tables", "Data", "Storage", "Tensors", "Memories",
      "Service", "CChorusSignals", products: [argumentParser]),
    .testTarget(
      name: "ChorusTests", dependencies: ["Chorus"], resources: [.copy("Frozen")],
      swiftSettings: swiftSettings),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .gnu11
)
