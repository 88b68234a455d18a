package figures

import (
	"fmt"
	"html"
	"strings"
)

// Measures of a plot, in pixels.
const (
	plotWidth  = 760
	labelWidth = 150
	barHeight  = 14
	rowHeight  = 44
	topHeight  = 58
)

// SVG draws a work as bars: of each tool the median wall time, with the least and the greatest as a
// line, and below it the CPU time of the client.
func (w Work) SVG() string {
	var rows []Row
	most := 0.0
	for _, r := range w.Rows {
		if len(r.Samples) > 0 {
			rows = append(rows, r)
			most = max(most, r.Of(Wall).Max, r.Of(CPU).Max)
		}
	}
	if most == 0 {
		most = 1
	}
	scale := float64(plotWidth-labelWidth-90) / most
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n",
		plotWidth, topHeight+rowHeight*len(rows)+6)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#ffffff"/>`+"\n")
	fmt.Fprintf(&b, `<text x="10" y="20" font-size="14" font-weight="bold">%s</text>`+"\n", html.EscapeString(w.Title))
	fmt.Fprintf(&b, `<text x="10" y="40" fill="#555555">seconds: <tspan fill="#2f6fb2">wall</tspan>, <tspan fill="#d98c3f">CPU of the client</tspan></text>`+"\n")
	for i, r := range rows {
		y := topHeight + i*rowHeight
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", labelWidth-8, y+19, html.EscapeString(r.Tool))
		bar(&b, y, r.Of(Wall), scale, "#2f6fb2")
		bar(&b, y+barHeight+2, r.Of(CPU), scale, "#d98c3f")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func bar(b *strings.Builder, y int, s Spread, scale float64, color string) {
	width := s.Median * scale
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", labelWidth, y, width, barHeight, color)
	middle := float64(y) + barHeight/2
	fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#333333"/>`+"\n",
		labelWidth+s.Min*scale, middle, labelWidth+s.Max*scale, middle)
	fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="#333333">%s</text>`+"\n", labelWidth+max(s.Max, s.Median)*scale+6, y+11, short(s.Median))
}
