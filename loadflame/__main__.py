from loadflame.cli import main

main()
