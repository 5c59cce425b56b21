// ChorusModels
