/// Everything a program needs to condition a model on data and ask it for joint predictions.
@_exported import ChorusData
@_exported import ChorusHints
@_exported import ChorusInference
@_exported import ChorusLanguage
@_exported import ChorusLayers
@_exported import ChorusMemories
@_exported import ChorusModels
@_exported import ChorusPlans
@_exported import ChorusPriors
@_exported import ChorusTensors
@_exported import ChorusTraining
