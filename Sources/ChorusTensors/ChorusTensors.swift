// ChorusTensors
