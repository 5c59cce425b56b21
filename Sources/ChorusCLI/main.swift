import ChorusCommands

Chorus.main()
