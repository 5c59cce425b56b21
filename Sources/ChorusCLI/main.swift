import ChorusCommands

Chorus.run()
