"""What dumpsys prints on five versions of Android. MADE BY HAND after the sources that write it, not recorded.

The columns and rows differ as they do between these versions: no Rss before 12, SwapPss, more kinds of mappings later.
"""

MEMINFO = {
    8: """Applications Memory Usage (in Kilobytes):
Uptime: 5123456 Realtime: 9123456

** MEMINFO in pid 4321 [org.seedtune.app] **
                   Pss  Private  Private  SwapPss     Heap     Heap     Heap
                 Total    Dirty    Clean    Dirty     Size    Alloc     Free
                ------   ------   ------   ------   ------   ------   ------
  Native Heap   151204   151160        0      812   180224   149876    30347
  Dalvik Heap     4120     4076        0       33     7044     5508     1536
 Dalvik Other     1002     1000        0        2
        Stack      692      692        0        0
       Ashmem        2        0        0        0
      Gfx dev     1420     1420        0        0
    Other dev       12        0        8        0
     .so mmap    21034     1212    18344      101
    .apk mmap      312        0       20        0
    .dex mmap     2204        8     1840        0
    .oat mmap      410        0        0        0
    .art mmap     1870     1420        4       12
   Other mmap   284122        8   284060        0
   EGL mtrack     8100     8100        0        0
    GL mtrack     2040     2040        0        0
      Unknown     1100     1096        0       40
        TOTAL   480644   172232   304276     1000   187268   155384    31883

 App Summary
                       Pss(KB)
                        ------
           Java Heap:     5500
         Native Heap:   151160
                Code:    21424
               Stack:      692
            Graphics:    11560
       Private Other:   286172
              System:     4136

               TOTAL:   480644       TOTAL SWAP PSS:     1000

 Objects
               Views:        0         ViewRootImpl:        0
""",
    10: """Applications Memory Usage (in Kilobytes):
Uptime: 5123456 Realtime: 9123456

** MEMINFO in pid 4321 [org.seedtune.app] **
                   Pss  Private  Private  SwapPss     Heap     Heap     Heap
                 Total    Dirty    Clean    Dirty     Size    Alloc     Free
                ------   ------   ------   ------   ------   ------   ------
  Native Heap   151204   151160        0      812   180224   149876    30347
  Dalvik Heap     4120     4076        0       33     7044     5508     1536
     .so mmap    21034     1212    18344      101
   Other mmap   284122        8   284060        0
      Unknown     1100     1096        0       40
        TOTAL   462566   157552   302404      986   187268   155384    31883

 App Summary
                       Pss(KB)
                        ------
         Native Heap:   151160

               TOTAL:   462566       TOTAL SWAP PSS:      986
""",
    12: """Applications Memory Usage (in Kilobytes):
Uptime: 5123456 Realtime: 9123456

** MEMINFO in pid 4321 [org.seedtune.app] **
                   Pss  Private  Private  SwapPss      Rss     Heap     Heap     Heap
                 Total    Dirty    Clean    Dirty    Total     Size    Alloc     Free
                ------   ------   ------   ------   ------   ------   ------   ------
  Native Heap   151204   151160        0      812   152288   180224   149876    30347
  Dalvik Heap     4120     4076        0       33     8816     7044     5508     1536
     .so mmap    21034     1212    18344      101    78112
   Other mmap   284122        8   284060        0   284600
      Unknown     1100     1096        0       40     1804
        TOTAL   462566   157552   302404      986   525620   187268   155384    31883

 App Summary
                       Pss(KB)                        Rss(KB)
                        ------                         ------
         Native Heap:   151160                         152288
           TOTAL PSS:   462566            TOTAL RSS:   525620       TOTAL SWAP PSS:      986
""",
    14: """Applications Memory Usage (in Kilobytes):
Uptime: 5123456 Realtime: 9123456

** MEMINFO in pid 4321 [org.seedtune.app] **
                   Pss  Private  Private     Swap      Rss     Heap     Heap     Heap
                 Total    Dirty    Clean    Dirty    Total     Size    Alloc     Free
                ------   ------   ------   ------   ------   ------   ------   ------
  Native Heap   151204   151160        0      812   152288   180224   149876    30347
     .so mmap    21034     1212    18344      101    78112
        TOTAL   462566   157552   302404      986   525620   187268   155384    31883
""",
    15: """Applications Memory Usage (in Kilobytes):
Uptime: 5123456 Realtime: 9123456

** MEMINFO in pid 4321 [org.seedtune.app] **
                   Pss      Pss   Shared  Private   Shared  Private  SwapPss      Rss     Heap     Heap     Heap
                 Total    Clean    Dirty    Dirty    Clean    Clean    Dirty    Total     Size    Alloc     Free
                ------   ------   ------   ------   ------   ------   ------   ------   ------   ------   ------
  Native Heap   151204        0      100   151160        0        0      812   152288   180224   149876    30347
   .jar mmap      1204      400        0        0     9000      404        0     9600
        TOTAL   462566   302000     4000   157552    61000   302404      986   525620   187268   155384    31883
""",
}
BATTERY = {
    8: """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 500000
  Max charging voltage: 5000000
  Charge counter: 2861000
  status: 2
  health: 2
  present: true
  level: 81
  scale: 100
  voltage: 4123
  temperature: 312
  technology: Li-ion
""",
    15: """Current Battery Service state:
  AC powered: false
  USB powered: false
  Wireless powered: false
  Dock powered: false
  Charge counter: 3861000
  status: 3
  health: 2
  present: true
  level: 64
  scale: 100
  voltage: 3987
  temperature: 405
  technology: Li-ion
  Charging state: 0
  Charging policy: 0
""",
}
THERMAL = {
    8: "Can't find service: thermalservice\n",
    10: """IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 1
\tkilled: false
\tbroadcasts count: -1
ThermalStatusListeners:
\tcallbacks: 1
Thermal Status: 2
Cached temperatures:
\tTemperature{mValue=41.2, mType=3, mName=skin, mStatus=2}
HAL Ready: true
HAL connection:
\tThermalHAL 2.0 connected: yes
Current temperatures from HAL:
\tTemperature{mValue=40.9, mType=3, mName=skin, mStatus=2}
\tTemperature{mValue=71.0, mType=0, mName=CPU0, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=2, mType=2, mName=thermal-cpufreq-0}
""",
    15: """IsStatusOverride: false
Thermal Status: 0
Cached temperatures:
\tTemperature{mValue=NaN, mType=9, mName=NPU, mStatus=0}
\tTemperature{mValue=33.4, mType=3, mName=VIRTUAL-SKIN, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{mValue=31.25, mType=3, mName=quiet_therm, mStatus=0}
\tTemperature{mValue=33.5, mType=3, mName=VIRTUAL-SKIN, mStatus=0}
Temperature static thresholds from HAL:
\tTemperatureThreshold{mType=3, mName=VIRTUAL-SKIN, mHotThrottlingThresholds=[NaN, 39.0, 41.0]}
""",
}
EXITS_TOO_OLD = "Unknown argument: exit-info; use -h for help\n"
SWAPS = "Filename\t\tType\t\tSize\tUsed\tPriority\n/dev/block/zram0    partition\t4194300\t812340\t-2\n"
ZRAM = " 821313536 246312960 251875328        0 251875328    12345        0      512      512\n"
