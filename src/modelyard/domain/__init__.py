"""The nouns of Modelyard: frozen, without I/O, known to every part."""
