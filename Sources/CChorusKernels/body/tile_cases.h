// The tiles that take 1...CK_ROWS rows through any number of panels; few rows take several panels at once, so that enough
// independent sums are under way to hide the latency of the multiply-adds. Included inside a function that defines
// TILES(rows, panels).
  switch (rows) {
    case 1:
      TILES(1, 4);
      TILES(1, 2);
      TILES(1, 1);
      break;
    case 2:
      TILES(2, 2);
      TILES(2, 1);
      break;
#if CK_ROWS > 2
    case 3:
      TILES(3, 2);
      TILES(3, 1);
      break;
    case 4:
#if CK_PANELS > 1
      TILES(4, CK_PANELS);
#endif
      TILES(4, 1);
      break;
    case 5:
#if CK_PANELS > 1
      TILES(5, CK_PANELS);
#endif
      TILES(5, 1);
      break;
    case 6:
#if CK_PANELS > 1
      TILES(6, CK_PANELS);
#endif
      TILES(6, 1);
      break;
#endif
#if CK_ROWS > 6
    case 7:
      TILES(7, CK_PANELS);
      TILES(7, 1);
      break;
    case 8:
      TILES(8, CK_PANELS);
      TILES(8, 1);
      break;
    case 9:
      TILES(9, CK_PANELS);
      TILES(9, 1);
      break;
    case 10:
      TILES(10, CK_PANELS);
      TILES(10, 1);
      break;
    case 11:
      TILES(11, CK_PANELS);
      TILES(11, 1);
      break;
    case 12:
      TILES(12, CK_PANELS);
      TILES(12, 1);
      break;
#endif
  }
