package sandbox

// winAnsi encodes s; what the encoding does not have becomes a question mark.
func winAnsi(s string) []byte {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		switch {
		case r >= ' ' && r < 0x7f, r >= 0xa0 && r <= 0xff:
			b = append(b, byte(r))
		case special(r) != 0:
			b = append(b, special(r))
		default:
			b = append(b, '?')
		}
	}
	return b
}

// special is the code of the letters that are elsewhere in Unicode, 0 for none.
func special(r rune) byte {
	switch r {
	case '€':
		return 0x80
	case '…':
		return 0x85
	case 'Š':
		return 0x8a
	case 'Œ':
		return 0x8c
	case 'Ž':
		return 0x8e
	case '‘':
		return 0x91
	case '’':
		return 0x92
	case '“':
		return 0x93
	case '”':
		return 0x94
	case '•':
		return 0x95
	case '–':
		return 0x96
	case '—':
		return 0x97
	case '™':
		return 0x99
	case 'š':
		return 0x9a
	case 'œ':
		return 0x9c
	case 'ž':
		return 0x9e
	case 'Ÿ':
		return 0x9f
	case '\u202f': // a narrow space, before : and ;
		return 0xa0
	}
	return 0
}

// The widths of ' ' to '~' in thousandths of the size, as Adobe's metrics of the two fonts have them.
var (
	helvetica = [95]int{278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
		556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
		1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
		667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
		333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
		556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584}
	helveticaBold = [95]int{278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278,
		556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611,
		975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833, 722, 778,
		667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556,
		333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611,
		611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584}
)

// plainLetters are the letters under the accents of 0xc0 to 0xff; a letter is as wide with its accent as without.
const plainLetters = "AAAAAA\x00CEEEEIIIIDNOOOOO+OUUUUYPsaaaaaa\x00ceeeeiiiionooooo+ouuuuypy"

func glyphWidth(table *[95]int, b byte) int {
	switch {
	case b >= ' ' && b <= '~':
		return table[b-' ']
	case b == 0xa0:
		return table[0]
	case b == 0x91, b == 0x92, b == 0xb7: // near enough in the regular face
		return 278
	case b == 0x93, b == 0x94:
		return table['"'-' ']
	case b == 0x85, b == 0x97, b == 0x8c, b == 0xc6:
		return 1000
	case b == 0x9c:
		return 944
	case b == 0xe6:
		return 889
	case b == 0xb0:
		return 400
	case b == 0x95:
		return 350
	case b >= 0xc0 && plainLetters[b-0xc0] != 0:
		if plainLetters[b-0xc0] == 'i' {
			return 278
		}
		return table[plainLetters[b-0xc0]-' ']
	}
	return 556
}
