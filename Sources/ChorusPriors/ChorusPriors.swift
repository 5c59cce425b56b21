// ChorusPriors
