# Declarations of the Windows functions and types that the engine uses, by header. Declarations only.
