// ChorusTraining
