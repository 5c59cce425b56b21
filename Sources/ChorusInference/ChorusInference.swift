// ChorusInference
