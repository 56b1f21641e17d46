# What both Windows scripts do: nothing newer than PowerShell 2.0 here.

$ErrorActionPreference = 'Stop'

function Write-Line([string]$Text) {
    Write-Host ('{0}  {1}' -f (Get-Date -Format 's'), $Text)
}

function Find-Control {
    foreach ($folder in @('Plimsoll Agent', 'Trend Micro\Deep Security Agent')) {
        foreach ($name in @('dsa_control.exe', 'dsa_control.cmd')) {
            $path = Join-Path -Path (Join-Path -Path $env:ProgramFiles -ChildPath $folder) -ChildPath $name
            if (Test-Path -Path $path) { return $path }
        }
    }
    Stop-Deployment 41 @('The package is installed, but it brought no dsa_control, so this computer was not activated.')
}

function Invoke-Activation {
    if (-not $Token) {
        Write-Line 'Installed. This script activates nothing; do it with: dsa_control -a dsm://MANAGER:4120/ "token:TOKEN"'
        return
    }
    $control = Find-Control
    $words = @('-a', $ActivationUrl)
    if ($Policy) { $words += "policyid:$Policy" }
    if ($Group) { $words += "groupid:$Group" }
    if ($RelayGroup) { $words += "relaygroupid:$RelayGroup" }
    if ($DisplayName) { $words += "displayname:$DisplayName" }
    if ($Relay -eq 'yes') { $words += 'relay:yes' }
    # The token goes in by standard input where the agent reads it there: every user can see a command line.
    $byInput = $AgentVersion -notmatch '^([0-9]|10|11)\.'
    Write-Line "Activation at $ActivationUrl begins"
    # What a program says on its error stream is no error of this script's.
    $ErrorActionPreference = 'Continue'
    for ($attempt = 1; $attempt -le 5; $attempt++) {
        if ($byInput) { $Token | & $control @words 'token:-' } else { & $control @words "token:$Token" }
        if ($LASTEXITCODE -ne 7) { break }
        Start-Sleep -Seconds 10
    }
    $code = $LASTEXITCODE
    $ErrorActionPreference = 'Stop'
    if ($code -eq 7) {
        Stop-Deployment 51 @("The agent is installed, but $ActivationUrl was not reached, so this computer was not activated.", 'Open the way to that port, then run this script again.')
    }
    if ($code -ne 0) {
        Stop-Deployment 50 @('The agent is installed, but this computer was not activated (above is why).', 'Where the token has expired or is used up, make a new script on the manager and run that.')
    }
    Write-Line 'Activation ended'
}
