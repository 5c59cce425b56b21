// ChorusTables
