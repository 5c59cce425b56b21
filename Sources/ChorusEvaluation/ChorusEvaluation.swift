// ChorusEvaluation
